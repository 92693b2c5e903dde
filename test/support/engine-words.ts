// What engines print, made comparable: IDs, times and places are taken out, and the words that a runtime's error has
// around what engines read of it. What is here are all the differences in words that there may be.

/** Errors of both runtimes for the same thing, which differ in words; engines read none of these but the errno's. */
const SAME: readonly [RegExp, string][] = [
  [/chdir to cwd \("[^"]*"\) set in config\.json failed: /g, "cannot enter the working directory: "],
  [/process\.cwd: cannot enter [^:]*: /g, "cannot enter the working directory: "],
  // runc and ctr-bun: which limit.
  [/error setting rlimits for ready process: error setting rlimit type \d+: /g, "cannot set a limit: "],
  [/process\.rlimits\[\d+\]: cannot set RLIMIT_\w+ to \d+, at most \d+: /g, "cannot set a limit: "],
  [
    /error mounting "[^"]*" to rootfs at "[^"]*": mount \S+(?: \(via [^)]*\))?, flags: 0x[0-9a-f]+: /g,
    "cannot mount: ",
  ],
  [/mounts\[\d+\][\w.]*: cannot (?:bind|mount) \S+ (?:at|on) [^:]*: /g, "cannot mount: "],
];

/** What stands around the reason of an error: runc's chain of what it was about, and ctr-bun's property and call. */
const AROUND: readonly RegExp[] = [
  /runc create failed: |exec failed: (?=unable)|unable to start container process: |error during container init: /g,
  /process\.args\[0\]: (?=exec: )/g,
  / \(\w+(?: [^()]*)?: E[A-Z0-9]+\)/g,
];

/** What differs from one run to the next. */
const RANDOM: readonly [RegExp, string][] = [
  [/\b[0-9a-f]{64}\b/g, "ID"],
  [/\b[0-9a-f]{12}\b/g, "ID"],
  [/time="[^"]*"/g, "time"],
  // A race of docker's client with itself.
  [/^.*error waiting for container: context canceled"\n/gm, ""],
];

/** What engines pass on as signals, a new size of the window among them, may come when the program has just ended. */
const LATE_SIGNAL = /^.*(container not running|has stopped|cannot resize a stopped container: unknown"?) *$/;

/** The lines that a terminal showed, each once: how often one came, or was typed, is a matter of time. */
export function linesShown(text: string): string[] {
  const lines = new Set(text.split(/[\r\n]+/).filter((line) => !LATE_SIGNAL.test(line)));
  return [...lines].sort();
}

/** Text that engines printed, with runc or ctr-bun, as it is compared. */
export function likeRunc(text: string): string {
  let like = text;
  for (const [pattern, as] of [...RANDOM, ...SAME]) like = like.replace(pattern, as);
  for (const pattern of AROUND) like = like.replace(pattern, "");
  return like;
}

/** The lines in the order of the alphabet. */
export function sorted(text: string): string {
  return text.split("\n").sort().join("\n");
}
