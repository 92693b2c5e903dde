// The same command lines for runc and for ctr-bun, on the same bundle: exit codes and the shape of the output are equal,
// apart from what is listed with its reason, and errors have the words that engines look for.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, CTR_BUN, freshID, makeBundle, type Result, runCommand } from "../support/bundle.ts";

let bundle: Bundle;
/** `BUNDLE`, `ID` and `NONE` stand for the bundle, the container's ID and one that is not there. */
let words: Record<string, string>;
const NAMES = ["runc", "ours"] as const;
beforeAll(() => {
  bundle = makeBundle();
  words = { BUNDLE: bundle.path, NONE: freshID() };
});
afterAll(() => {
  for (const name of NAMES) rmSync(join(bundle.path, name), { recursive: true, force: true });
  bundle.dispose();
});

function runtime(name: (typeof NAMES)[number]): string[] {
  return [name === "runc" ? "runc" : CTR_BUN, "--root", join(bundle.path, name)];
}

function ask(name: (typeof NAMES)[number], line: string): Result {
  const argv = line.split(" ").map((word) => (word === "''" ? "" : (words[word] ?? word)));
  return runCommand([...runtime(name), ...argv]);
}

/** What an engine would tell apart: JSON by its keys and types, a table by its head, an error by its code. */
function shape({ code, out, err }: Result): Record<string, unknown> {
  let form: unknown = out.trim() === "" ? "nothing" : out.split("\n")[0]?.replace(/ +/g, " ");
  try {
    form = JSON.parse(out, (key, value) =>
      key === "annotations" || value === null || typeof value === "object" ? value : typeof value,
    );
  } catch {
    // No JSON.
  }
  return { code, form, failed: err !== "" };
}

/** Command lines whose outcome is the same. A container is created, started, killed and deleted on the way. */
const LIFE: readonly string[] = [
  "list",
  "list -q",
  "list -f json",
  "create --bundle BUNDLE ID",
  "create --bundle BUNDLE ID",
  "state ID",
  "list --format json",
  "exec ID sh -c true",
  "start ID",
  "start ID",
  "state ID",
  "list -q",
  "kill ID 0",
  "kill ID 34",
  "kill ID CHLD",
  "kill ID SIGCHLD",
  "kill ID sigchld",
  "kill ID 0x9",
  "kill ID 65",
  "kill ID BAD",
  "kill --all ID CHLD",
  "delete ID",
  "exec ID",
  "exec ID sh -c",
  "exec ID true",
  "exec ID false",
  "exec --cwd /tmp --env A=b --user 5:6 -g 7 --cap CAP_KILL --no-new-privs ID true",
  "exec --user root ID true",
  "exec --user 5:6:7 ID true",
  "exec --process /nowhere ID",
  "exec --preserve-fds 5 ID true",
  "exec --cgroup missing ID true",
  "exec --cgroup ../.. ID true",
  "exec --cgroup a --cgroup b ID true",
  "exec --detach --tty ID true",
  "exec --tty ID true",
  "exec --pid-file /nowhere/pid ID true",
  "pause ID",
  "exec ID true",
  "state ID",
  "resume ID",
  "kill ID KILL",
  "WAIT",
  "state ID",
  "kill ID KILL",
  "kill ID 0",
  "kill --all ID KILL",
  "start ID",
  "exec ID true",
  "delete ID",
  "delete ID",
  "delete --force ID",
];

const USAGE: readonly string[] = [
  "state",
  "state a b",
  "state NONE",
  "start NONE",
  "kill NONE",
  "kill NONE BAD",
  "delete NONE",
  "exec NONE true",
  "pause NONE",
  "resume NONE",
  "ps NONE",
  "update NONE",
  "kill",
  "kill a b c",
  "state a/b",
  "state ''",
  "create --bundle BUNDLE a/b",
  "create --bundle BUNDLE ..",
  "create --bundle BUNDLE ''",
  "create --bundle BUNDLE",
  "create --bundle BUNDLE a b",
  "create --bundle /nowhere NONE",
  "create --bundle BUNDLE --console-socket /nowhere NONE",
  "create --bundle BUNDLE --pid-file /nowhere/pid NONE",
  "create --bundle BUNDLE --preserve-fds 9 NONE",
  "run --bundle BUNDLE --preserve-fds x NONE",
  "list -f bad",
  "list extra",
  "list --bad",
  "--bad list",
  "--log-format bad list",
  "--log /nowhere/log list",
  "--log-format json --log /dev/null state NONE",
  "--debug --log /dev/null list -q",
  "--rootless auto list -q",
  "--criu x list -q",
  "spec --bundle BUNDLE",
  "spec --bundle /nowhere",
  "spec extra",
  "features extra",
];

async function stopped(name: (typeof NAMES)[number]): Promise<void> {
  for (let tries = 0; tries < 250; tries++) {
    if (JSON.parse(ask(name, "state ID").out).status === "stopped") return;
    await Bun.sleep(20);
  }
  throw new Error("it did not stop within five seconds");
}

describe("exit codes and the shape of the output are runc's", () => {
  test("through a container's life", async () => {
    const id = freshID();
    words.ID = id;
    bundle.configure(["sleep", "100"], (config) => {
      config.linux.cgroupsPath = `/ctr-bun/${id}`;
      config.annotations = { key: "value" };
    });
    const seen: Record<string, unknown>[][] = [];
    for (const name of NAMES) {
      const outcomes: Record<string, unknown>[] = [];
      for (const [at, line] of LIFE.entries()) {
        if (line === "WAIT") await stopped(name);
        else outcomes.push({ line: `${at}: ${line}`, ...shape(ask(name, line)) });
      }
      seen.push(outcomes);
    }
    expect(seen[1]).toEqual(seen[0] as never);
  });

  test("for command lines that make no sense", () => {
    bundle.configure(["sleep", "100"]);
    const outcomes = (name: (typeof NAMES)[number]) =>
      USAGE.map((line) => {
        const { code, failed } = shape(ask(name, line));
        return { line, code, failed };
      });
    expect(outcomes("ours")).toEqual(outcomes("runc"));
  });

  test("but for a verb that is not there: runc ends with 3, every error of ctr-bun's own with 1", () => {
    expect(NAMES.map((name) => ask(name, "nosuchverb").code)).toEqual([3, 1]);
    expect(NAMES.map((name) => ask(name, "help nosuchverb").code)).toEqual([3, 1]);
  });

  test("a run that is kept leaves a stopped container, any other nothing", async () => {
    const id = freshID();
    words.ID = id;
    bundle.configure(["sh", "-c", "exit 3"], (config) => {
      config.linux.cgroupsPath = `/ctr-bun/${id}`;
    });
    const seen = NAMES.map((name) => [
      ask(name, "run --bundle BUNDLE ID").code,
      ask(name, "list -q").out,
      ask(name, "run --keep --bundle BUNDLE ID").code,
      JSON.parse(ask(name, "state ID").out).status,
      ask(name, "delete ID").code,
      ask(name, "run --detach --bundle BUNDLE ID").code,
      ask(name, "delete --force ID").code,
    ]);
    expect(seen[1]).toEqual(seen[0] as never);
  });
});

describe("words that engines look for", () => {
  /** The last error of a JSON log, as containerd reads it. */
  function said(name: (typeof NAMES)[number], line: string): string {
    const log = join(bundle.path, "log.json");
    writeFileSync(log, "");
    ask(name, `--log ${log} --log-format json ${line}`);
    const entries = readFileSync(log, "utf8")
      .trim()
      .split("\n")
      .map((text) => JSON.parse(text));
    const last = entries.findLast(({ level }) => level === "error");
    expect(new Date(last.time).getTime()).toBeGreaterThan(Date.now() - 60_000);
    return last.msg;
  }

  test("stand in the log of both", async () => {
    const id = freshID();
    words.ID = id;
    bundle.configure(["sleep", "100"], (config) => {
      config.linux.cgroupsPath = `/ctr-bun/${id}`;
    });
    const lines: readonly (readonly [line: string, words: string])[] = [
      // containerd's and podman's for a container that is gone.
      ["state NONE", "does not exist"],
      ["kill NONE", "container does not exist"],
      ["delete NONE", "container does not exist"],
      ["create --bundle BUNDLE ID", "container with given ID already exists"],
      ["start ID", "cannot start an already running container"],
      ["delete ID", `cannot delete container ${id} that is not stopped: running`],
      ["exec ID nowhere", 'exec: "nowhere": executable file not found in $PATH'],
      ["exec ID /etc", "permission denied"],
      ["spec --bundle BUNDLE", "File config.json exists. Remove it first"],
      ["--rootless auto list --format bad", "format"],
    ];
    const ended: readonly (readonly [line: string, words: string])[] = [
      // containerd's checkKillError.
      ["kill ID", "container not running"],
      ["start ID", "cannot start a container that has stopped"],
      ["exec ID true", "cannot exec in a stopped container"],
    ];
    for (const name of NAMES) {
      ask(name, "run --detach --bundle BUNDLE ID");
      try {
        for (const [line, expected] of lines)
          expect({ name, line, said: said(name, line) }).toMatchObject({
            said: expect.stringContaining(expected),
          });
        ask(name, "pause ID");
        expect(said(name, "exec ID true")).toContain(
          "cannot exec in a paused container (use --ignore-paused to override)",
        );
        ask(name, "resume ID");
        ask(name, "kill ID KILL");
        await stopped(name);
        for (const [line, expected] of ended)
          expect({ name, line, said: said(name, line) }).toMatchObject({
            said: expect.stringContaining(expected),
          });
      } finally {
        ask(name, "delete --force ID");
      }
    }
  });
});

test("features has every key and name of runc's, but for what is refused", () => {
  const [theirs, ours] = NAMES.map((name) => JSON.parse(ask(name, "features").out));
  const missing: string[] = [];
  const look = (wanted: unknown, got: unknown, path: string): void => {
    if (Array.isArray(wanted)) {
      for (const name of wanted)
        if (!Array.isArray(got) || !got.includes(name)) missing.push(`${path}: ${name}`);
    } else if (typeof wanted === "object" && wanted !== null) {
      for (const [key, value] of Object.entries(wanted))
        look(value, (got as Record<string, unknown> | undefined)?.[key], `${path}.${key}`);
    } else if (wanted === true && got !== true) missing.push(path);
  };
  const { annotations: _own, ociVersionMax: _newer, ...rest } = theirs;
  look(rest, ours, "");
  // Options of single file systems, which are passed on to the kernel.
  expect(missing).toEqual([".mountOptions: acl", ".mountOptions: noacl"]);
});
