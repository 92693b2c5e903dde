/**
 * A process that spawns children and writes down what they got; spawn.test.ts starts it, with files of its own at 0,
 * 1 and 2, and asks on the command line for one of the observations below. The answer goes to a file, as JSON.
 */
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { CtrError } from "../../../src/error.ts";
import { O_RDONLY, SIG_SETMASK } from "../../../src/kernel/constants.ts";
import { close, open } from "../../../src/kernel/file.ts";
import { documentMemfd, executableMemfd } from "../../../src/kernel/memfd.ts";
import { words } from "../../../src/kernel/memory.ts";
import { type SpawnRequest, spawn, tryKill, waitPid } from "../../../src/kernel/process.ts";
import { sys, syscallNumber } from "../../../src/kernel/raw.ts";
import { writeProgram } from "../../../src/machine/program.ts";
import { native } from "../machine/runner.ts";

/** What a child got: names of the files of its descriptors, and lines of its /proc/PID/status. */
export interface Child {
  readonly files: Readonly<Record<string, string>>;
  readonly ignored: string;
  readonly blocked: string;
  readonly caught: string;
  readonly pending: string;
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly exe: string;
}

/** A program that sleeps until it is killed: what it has is what spawn gave it. */
const sleeper = executableMemfd(
  "sleeper",
  writeProgram({
    arch: native,
    steps: [{ on: "init", field: "", about: "", rows: [{ call: "ppoll", args: [0, 0, 0, 0] }] }],
    descriptors: { report: 99 },
  }).elf,
);

function status(pid: number | "self", name: string): string {
  const text = readFileSync(pid === "self" ? "/proc/thread-self/status" : `/proc/${pid}/status`, "utf8");
  return text.match(new RegExp(`^${name}:\\s*(.*)$`, "m"))?.[1] ?? "";
}

/** Files that a process has open. */
function filesOf(pid: number): Record<string, string> {
  const files: Record<string, string> = {};
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    files[fd] = basename(readlinkSync(`/proc/${pid}/fd/${fd}`));
  }
  return files;
}

function texts(path: string): string[] {
  return readFileSync(path, "utf8").split("\0").slice(0, -1);
}

/**
 * Waits until the sleeper sleeps. A child lets go of our memory, and spawn returns, a moment before the kernel closes
 * what is close-on-exec.
 */
function awaitSleep(pid: number): void {
  const ppoll = `${syscallNumber("ppoll")} `;
  const end = performance.now() + 10_000;
  while (!readFileSync(`/proc/${pid}/syscall`, "utf8").startsWith(ppoll)) {
    if (performance.now() > end) throw new Error("the child does not come to its first call");
  }
}

/** Spawns a sleeper, looks at it, and ends it. */
function look(request: Partial<SpawnRequest>): Child {
  const pid = spawn({
    program: sleeper,
    argv: ["sleeper"],
    env: [],
    stdio: [0, 1, 2],
    inherit: [],
    ...request,
  });
  try {
    awaitSleep(pid);
    return {
      files: filesOf(pid),
      ignored: status(pid, "SigIgn"),
      blocked: status(pid, "SigBlk"),
      caught: status(pid, "SigCgt"),
      pending: status(pid, "SigPnd"),
      argv: texts(`/proc/${pid}/cmdline`),
      env: texts(`/proc/${pid}/environ`),
      exe: readlinkSync(`/proc/${pid}/exe`),
    };
  } finally {
    tryKill(pid, 9);
    waitPid(pid);
  }
}

/** errno and code of a spawn that fails; what else it left behind. */
function failed(program: number) {
  const before = readdirSync("/proc/self/fd").length;
  let error: unknown;
  try {
    spawn({ program, argv: ["x"], env: [], stdio: [2, 0, 1], inherit: [] });
  } catch (thrown) {
    error = thrown;
  }
  const after = readdirSync("/proc/self/fd").length;
  // No child at all, living or dead: ECHILD.
  const child = sys("wait4", -1, null, 1, null);
  return error instanceof CtrError
    ? { errno: error.errno, syscall: error.syscall, code: error.code, child, descriptors: after - before }
    : { thrown: String(error), child, descriptors: after - before };
}

const observations = {
  /** Every triple of 0, 1, 2 and one descriptor above, in the order of counting. */
  stdio: () => {
    const above = open("/dev/zero", O_RDONLY);
    const choices = [0, 1, 2, above];
    const seen: Record<string, readonly (string | undefined)[]> = {};
    for (const a of choices) {
      for (const b of choices) {
        for (const c of choices) {
          const { files } = look({ stdio: [a, b, c] });
          const name = [a, b, c].map((fd) => (fd === above ? "above" : fd)).join();
          seen[name] = [files[0], files[1], files[2], Object.keys(files).length.toString()];
        }
      }
    }
    return { seen, own: [0, 1, 2].map((fd) => basename(readlinkSync(`/proc/self/fd/${fd}`))) };
  },
  /** Inherited descriptors, some of them standard input and output as well. */
  inherit: () => {
    const zero = open("/dev/zero", O_RDONLY);
    const full = open("/dev/full", O_RDONLY);
    const hidden = open("/dev/random", O_RDONLY);
    const high = sys("fcntl", zero, 1030, 200);
    const child = look({ stdio: [zero, 1, full], inherit: [full, high] });
    const flags = [zero, full, hidden, high].map((fd) => sys("fcntl", fd, 1));
    return { child, zero, full, hidden, high, flags };
  },
  /** What of our own process must not get through: ignored and blocked signals. */
  signals: () => {
    const ignore = words(1, 0, 0, 0);
    for (const signal of [1, 12, 13, 17, 34, 64]) sys("rt_sigaction", signal, ignore, null, 8);
    sys("rt_sigprocmask", SIG_SETMASK, words(0x4a01), null, 8);
    const before = status("self", "SigBlk");
    const child = look({});
    return { child, before, after: status("self", "SigBlk"), ignored: status("self", "SigIgn") };
  },
  words: () => look({ argv: ["first", "", "third é"], env: ["A=1", "B="] }),
  failure: () => {
    sys("rt_sigprocmask", SIG_SETMASK, words(0x200), null, 8);
    const text = executableMemfd("text", new TextEncoder().encode("no program"));
    const failures = {
      notAProgram: failed(text),
      notExecutable: failed(open("/dev/null", O_RDONLY)),
      closed: failed(1000),
      document: failed(documentMemfd("short", new Uint8Array(3))),
    };
    return { failures, mask: status("self", "SigBlk") };
  },
  /** Many, with the collector at work between them: the table's memory stays where it is. */
  many: () => {
    const codes = new Set<string>();
    for (let i = 0; i < 100; i++) {
      const child = look({ argv: [`number ${i}`], env: Array.from({ length: 20 }, (_, n) => `V${n}=${i}`) });
      const right =
        child.argv[0] === `number ${i}` && child.env[19] === `V19=${i}` && child.ignored === "0".repeat(16);
      codes.add(right ? "right" : JSON.stringify(child));
      if (i % 20 === 0) Bun.gc(true);
    }
    return [...codes];
  },
};

if (import.meta.main) {
  const [, , name = "", out = ""] = process.argv;
  const observation = Object.entries(observations).find(([key]) => key === name)?.[1];
  if (observation === undefined) throw new Error(`no observation ${name}`);
  writeFileSync(out, JSON.stringify(observation()));
  close(sleeper);
}

/** What each observation gives. */
export type Observed = { [Name in keyof typeof observations]: ReturnType<(typeof observations)[Name]> };
