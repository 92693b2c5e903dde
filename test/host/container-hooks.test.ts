// Hooks in the container's namespaces (createContainer, startContainer), and all six kinds together: their order, what
// each finds, what the failure of one means, and that nobody is left waiting for a ctr-bun that is gone.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { builtinRegistry } from "../../src/builtin-drivers.ts";
import { probeHost } from "../../src/runtime/host.ts";
import { runDetached } from "../../src/runtime/run.ts";
import { parseDocument } from "../../src/spec/parse.ts";
import { RuntimeConfig } from "../../src/spec/runtime/config.ts";
import { type Bundle, CTR_BUN, freshID, makeBundle, runCommand } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";
import { leftAfter, leftOf, look } from "../support/left.ts";

let bundle: Bundle;
/** As hooks on the host and in the container see the same file. */
let outside: string;
const INSIDE = "/tmp/log";
beforeAll(() => {
  bundle = makeBundle();
  outside = join(bundle.rootfs, INSIDE);
  // For the root of a user namespace.
  for (const path of [bundle.path, bundle.rootfs]) chmodSync(path, 0o755);
  chmodSync(join(bundle.rootfs, "tmp"), 0o777);
});
afterAll(() => bundle.dispose());
beforeEach(() => rmSync(outside, { force: true }));

const KINDS = [
  "prestart",
  "createRuntime",
  "createContainer",
  "startContainer",
  "poststart",
  "poststop",
] as const;
type Kind = (typeof KINDS)[number];
type Hooks = Partial<Record<Kind, object[]>>;

/** A shell of the host's, or of the container's. */
const shell = (line: string, more: object = {}) => ({ path: "/bin/sh", args: ["sh", "-c", line], ...more });
const logOf = (kind: Kind) => (kind === "startContainer" ? INSIDE : outside);
/** A hook that adds a word and the state that it got to the log. */
const note = (kind: Kind, word: string = kind, then = "true") =>
  shell(`{ echo '${word}'; cat; echo; } >>${logOf(kind)}; ${then}`);
const noteAll = () => Object.fromEntries(KINDS.map((kind) => [kind, [note(kind)]]));

function configure(
  hooks: Hooks,
  change: (config: Config) => void = () => undefined,
  args = ["sleep", "100"],
) {
  bundle.configure(args, (config) => {
    config.hooks = hooks;
    config.root.readonly = false;
    config.annotations = { "org.example.key": "value" };
    change(config);
  });
}

const logged = () => (existsSync(outside) ? readFileSync(outside, "utf8") : "");
const words = () =>
  logged()
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("{"));
const states = () =>
  logged()
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as { status: string; pid: number });

/** Creates and starts, and gives the pid. */
function begin(id: string): number {
  expect(bundle.ctr("create", "--bundle", bundle.path, id)).toEqual({ code: 0, out: "", err: "" });
  const { pid } = JSON.parse(bundle.ctr("state", id).out);
  expect(bundle.ctr("start", id)).toEqual({ code: 0, out: "", err: "" });
  return pid;
}

function over(id: string): void {
  expect(bundle.ctr("delete", "--force", id)).toEqual({ code: 0, out: "", err: "" });
}

const without =
  (...types: string[]) =>
  ({ linux }: Config) => {
    linux.namespaces = linux.namespaces.filter(({ type }) => !types.includes(type));
  };

describe("hooks of all six kinds", () => {
  test("run in the order of the lifecycle, with its states", () => {
    configure(noteAll());
    const id = freshID();
    const ran = (...args: string[]) => expect(bundle.ctr(...args)).toEqual({ code: 0, out: "", err: "" });
    ran("create", "--bundle", bundle.path, id);
    expect(words()).toEqual(KINDS.slice(0, 3));
    ran("start", id);
    expect(words()).toEqual(KINDS.slice(0, 5));
    ran("delete", "--force", id);
    expect(words()).toEqual([...KINDS]);
    const inside = ({ status, pid }: { status: string; pid: number }) => [status, pid === 1];
    expect(states().map(inside)).toEqual([
      ...[
        ["creating", false],
        ["creating", false],
        ["creating", true],
        ["created", true],
      ],
      ...[
        ["running", false],
        ["stopped", false],
      ],
    ]);
  });

  test("are as those of runc, which runs poststart hooks with `create` already", () => {
    configure(noteAll());
    const play = (command: string[]) => {
      rmSync(outside, { force: true });
      const id = freshID();
      const ran = (...args: string[]) => expect(runCommand([...command, ...args]).code).toBe(0);
      ran("create", "--bundle", bundle.path, id);
      ran("start", id);
      ran("delete", "--force", id);
      const known = words();
      return states()
        .map(({ status, pid }, at) => ({ word: known[at], status, inside: pid === 1 }))
        .filter(({ word }) => word !== "poststart");
    };
    const ours = play([CTR_BUN, "--root", bundle.state]);
    expect(ours).toHaveLength(5);
    expect(play(["runc", "--root", join(bundle.path, "runc")])).toEqual(ours);
  });

  test("run around `run` too", () => {
    configure(noteAll(), () => undefined, ["true"]);
    const { code, err } = bundle.ctr("run", "--bundle", bundle.path, freshID());
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(words()).toEqual([...KINDS]);
  });

  test("run before the init forks the program off, where it stays PID 1", async () => {
    configure(noteAll(), () => undefined, ["sh", "-c", `echo program of $$ >>${INSIDE}; sleep 100`]);
    const config = parseDocument(
      RuntimeConfig,
      JSON.parse(readFileSync(join(bundle.path, "config.json"), "utf8")),
      "",
    );
    const id = freshID();
    const { state: root, path } = bundle;
    await runDetached({
      root,
      id,
      bundle: path,
      config,
      registry: builtinRegistry(),
      host: probeHost(),
      init: true,
    });
    const end = performance.now() + 5000;
    while (words().length < 6 && performance.now() < end) await Bun.sleep(10);
    over(id);
    expect(words().slice(0, 4)).toEqual(KINDS.slice(0, 4));
    expect(
      words()
        .filter((word) => !word.startsWith("program"))
        .toSorted(),
    ).toEqual([...KINDS].toSorted());
    // PID 1 is the init, and some of the next numbers were the hook's.
    expect(
      Number(
        words()
          .find((word) => word.startsWith("program"))
          ?.split(" ")
          .at(-1),
      ),
    ).toBeGreaterThan(1);
  });
});

describe("a createContainer hook", () => {
  test("is in the container's namespaces, in the old root, with the host's rights", () => {
    const seen = `for n in mnt pid net uts ipc; do readlink /proc/self/ns/$n; done; pwd; ls /proc/self/fd | tr '\\n' ' '; echo; env | grep -v -e ^PWD= -e ^_= -e ^SHLVL=; umask; grep -e CapEff -e NoNewPrivs /proc/self/status; grep -c " ${bundle.rootfs}/proc " /proc/self/mountinfo; readlink /proc/self/fd/0`;
    configure({ createContainer: [shell(`{ ${seen}; } >${outside}`)] }, () => undefined, [
      "sh",
      "-c",
      "for n in mnt pid net uts ipc; do readlink /proc/self/ns/$n; done",
    ]);
    const { code, out, err } = runCommand([
      ...["sh", "-c", 'umask 027; exec "$@"', "sh"],
      ...[CTR_BUN, "--root", bundle.state, "run", "--bundle", bundle.path, freshID()],
    ]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const lines = logged().split("\n");
    expect(`${lines.slice(0, 5).join("\n")}\n`).toBe(out);
    const host = /^CapEff:\s*(\w+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    expect(lines.slice(5)).toEqual([
      bundle.rootfs,
      "0 1 2 3 ",
      "0027",
      `CapEff:\t${host}`,
      "NoNewPrivs:\t0",
      "1",
      "/memfd:state (deleted)",
      "",
    ]);
  });

  test("has its own arguments and environment", () => {
    const args = ["a name", "-c", `echo "$0" "$A" "$B" >${outside}`];
    configure({ createContainer: [{ path: "/bin/sh", args, env: ["A=", "B=2 3"] }] }, () => undefined, [
      "true",
    ]);
    expect(bundle.ctr("run", "--bundle", bundle.path, freshID())).toEqual({ code: 0, out: "", err: "" });
    expect(logged()).toBe("a name  2 3\n");
  });

  test("finds the container of a user namespace, and may mount what the program sees", () => {
    configure(
      {
        createContainer: [
          shell(
            `cat /proc/self/uid_map >${outside}; mkdir -p ${bundle.rootfs}/tmp/made && mount -t tmpfs none ${bundle.rootfs}/tmp/made && echo word >${bundle.rootfs}/tmp/made/file`,
          ),
        ],
      },
      ({ linux }) => {
        linux.namespaces.push({ type: "user" });
        linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
        linux.gidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
      },
      ["cat", "/tmp/made/file"],
    );
    expect(bundle.ctr("run", "--bundle", bundle.path, freshID())).toEqual({
      code: 0,
      out: "word\n",
      err: "",
    });
    expect(logged().trim().split(/\s+/)).toEqual(["0", "100000", "65536"]);
  });
});

describe("a startContainer hook", () => {
  test("is as the program: in its root, as its user, with its rights, limits and filter", () => {
    const seen = `id -u; id -G; pwd; umask; grep -e CapEff -e CapBnd -e NoNewPrivs -e Seccomp: /proc/self/status; ulimit -n; readlink /proc/self/fd/0`;
    const change = ({ process, linux }: Config) => {
      Object.assign(process, { cwd: "/etc", rlimits: [{ type: "RLIMIT_NOFILE", hard: 512, soft: 512 }] });
      process.user = {
        uid: 1000,
        gid: 2000,
        additionalGids: [3000],
        umask: 0o77,
      } as Config["process"]["user"];
      linux.seccomp = {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [{ names: ["reboot"], action: "SCMP_ACT_ERRNO" }],
      };
    };
    configure({ startContainer: [shell(`{ ${seen}; ls /proc/self/fd | wc -l; env; } >${INSIDE}`)] }, change, [
      ...["sh", "-c", `{ ${seen}; } | sed '$d'`],
    ]);
    const { code, out, err } = bundle.ctr("run", "--bundle", bundle.path, freshID());
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const lines = logged().trim().split("\n");
    expect(`${lines.slice(0, 9).join("\n")}\n`).toBe(out);
    expect(lines.slice(0, 4)).toEqual(["1000", "2000 3000", "/etc", "0077"]);
    expect(lines).toContain("Seccomp:\t2");
    // Its three streams and the directory that is listed. The shell sets some of the environment by itself.
    expect(lines.slice(9, 11)).toEqual(["/memfd:state (deleted)", "4"]);
    expect(lines.slice(11).filter((line) => !/^(PWD|SHLVL|PATH|OLDPWD|_)=/.test(line))).toEqual([]);
  });

  test("runs after the word to start, and before the program", () => {
    configure({ startContainer: [note("startContainer", "hook")] }, () => undefined, [
      "sh",
      "-c",
      `echo program >>${INSIDE}; sleep 100`,
    ]);
    const id = freshID();
    expect(bundle.ctr("create", "--bundle", bundle.path, id).code).toBe(0);
    expect(words()).toEqual([]);
    expect(bundle.ctr("start", id).code).toBe(0);
    const end = performance.now() + 5000;
    while (words().length < 2 && performance.now() < end) Bun.sleepSync(10);
    expect(words()).toEqual(["hook", "program"]);
    over(id);
  });

  test("leaves the standard streams to the program", () => {
    configure({ startContainer: [shell("echo of the hook; echo of the hook >&2")] }, () => undefined, [
      ...["sh", "-c", "cat; echo of the program"],
    ]);
    expect(bundle.ctr("run", "--bundle", bundle.path, freshID())).toEqual({
      code: 0,
      out: "of the program\n",
      err: "",
    });
  });
});

describe("the pid in the state is that which the container sees", () => {
  const both = (): Hooks => ({
    createContainer: [note("createContainer")],
    startContainer: [note("startContainer")],
  });

  test("the host's without a pid namespace, with and without a mount namespace", () => {
    for (const change of [
      without("pid"),
      (config: Config) => {
        without("pid", "mount")(config);
        Object.assign(config, { mounts: [] });
        Object.assign(config.linux, { maskedPaths: [], readonlyPaths: [] });
      },
    ]) {
      rmSync(outside, { force: true });
      configure(both(), change);
      const id = freshID();
      const pid = begin(id);
      expect(states().map((state) => state.pid)).toEqual([pid, pid]);
      over(id);
    }
  });

  test("that of the namespace that is joined", () => {
    const other = freshID();
    configure({});
    const joined = begin(other);
    try {
      configure(both(), ({ linux }) => {
        const paths: Record<string, string> = { pid: "pid", mount: "mnt" };
        linux.namespaces = linux.namespaces
          .filter(({ type }) => type === "pid" || type === "uts")
          .concat([{ type: "mount" }])
          .map((each) =>
            each.type === "pid" ? { ...each, path: `/proc/${joined}/ns/${paths[each.type]}` } : each,
          );
      });
      const id = freshID();
      const pid = begin(id);
      const seen = Number(/^NSpid:.*\s(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
      expect(seen).toBeGreaterThan(1);
      expect(seen).not.toBe(pid);
      expect(states().map((state) => state.pid)).toEqual([seen, seen]);
      expect(readlinkSync(`/proc/${pid}/ns/pid`)).toBe(readlinkSync(`/proc/${joined}/ns/pid`));
      over(id);
    } finally {
      over(other);
    }
  });
});

describe("a hook in the container that fails", () => {
  const INNER = ["createContainer", "startContainer"] as const;
  /** What the verbs say and leave: create, and start where that one is due. */
  function lifeWith(kind: (typeof INNER)[number], hook: object, more: Hooks = {}) {
    configure({
      [kind]: [note(kind, "first"), hook, note(kind, "never")],
      poststop: [note("poststop")],
      ...more,
    });
    const id = freshID();
    const made = bundle.ctr("create", "--bundle", bundle.path, id);
    if (kind === "createContainer") {
      expect(leftOf(bundle, id)).toEqual([]);
      return made;
    }
    expect(made).toEqual({ code: 0, out: "", err: "" });
    const started = bundle.ctr("start", id);
    expect(JSON.parse(bundle.ctr("state", id).out).status).toBe("stopped");
    expect(words()).toEqual(["first"]);
    expect(bundle.ctr("delete", id)).toEqual({ code: 0, out: "", err: "" });
    expect(leftOf(bundle, id)).toEqual([]);
    return started;
  }

  test("is the error of create, start and run, with what it said; poststop hooks run, nothing is left", () => {
    for (const kind of INNER) {
      rmSync(outside, { force: true });
      const { code, err } = lifeWith(kind, shell("echo why >&2; exit 3"));
      expect(code).toBe(1);
      expect(err).toContain(`hooks.${kind}[1]: the hook ended with 3: why (/bin/sh)`);
      expect(words()).toEqual(["first", "poststop"]);
      rmSync(outside, { force: true });
      const id = freshID();
      const ran = bundle.ctr("run", "--bundle", bundle.path, id);
      expect(ran.code).toBe(1);
      expect(ran.err).toContain(`hooks.${kind}[1]: the hook ended with 3: why (/bin/sh)`);
      expect(words()).toEqual(["first", "poststop"]);
      expect(leftOf(bundle, id)).toEqual([]);
    }
  });

  test("because it is not there names its path and the errno", () => {
    for (const kind of INNER) {
      const { code, err } = lifeWith(kind, { path: "/nowhere/hook" });
      expect(code).toBe(1);
      expect(err).toContain(`hooks.${kind}[1].path: cannot run the hook: no such file or directory`);
      expect(err).toContain("/nowhere/hook");
      expect(err).toContain("ENOENT");
      rmSync(outside, { force: true });
    }
    expect(lifeWith("createContainer", { path: "/etc/passwd" }).err).toContain("EACCES");
  });

  test("because it takes too long is killed", () => {
    for (const kind of INNER) {
      const began = performance.now();
      const { code, err } = lifeWith(kind, shell("echo slow; exec sleep 30", { timeout: 1 }));
      expect(performance.now() - began).toBeLessThan(10_000);
      expect(code).toBe(1);
      expect(err).toContain(`hooks.${kind}[1]: the hook timed out after 1 s: slow`);
      rmSync(outside, { force: true });
    }
  });

  test("by a signal says so", () => {
    for (const kind of INNER) {
      expect(lifeWith(kind, shell("kill -SEGV $$")).err).toContain(
        `hooks.${kind}[1]: the hook was killed by SIGSEGV`,
      );
      rmSync(outside, { force: true });
    }
  });

  test("takes along what it has left running, without a pid namespace too", async () => {
    const pidFile = join(bundle.path, "sleeper");
    configure(
      { createContainer: [shell(`sleep 100 >/dev/null 2>&1 & echo $! >${pidFile}; exit 1`)] },
      without("pid"),
    );
    const id = freshID();
    expect(bundle.ctr("create", "--bundle", bundle.path, id).err).toContain("hooks.createContainer[0]");
    const sleeper = Number(readFileSync(pidFile, "utf8"));
    expect(sleeper).toBeGreaterThan(1);
    expect(["Z", undefined]).toContain(look(sleeper)?.state);
    expect(await leftAfter(bundle, id, new Map())).toEqual([]);
  });
});

test("there may be many, with long environments, and what they leave running is not waited for", () => {
  const env = Array.from({ length: 300 }, (_, at) => `VARIABLE_${at}=${"x".repeat(100)}`);
  const hook = shell(`[ "\${#VARIABLE_299}" = 100 ] && printf x >>${outside}`, { env });
  const last = shell(`sleep 20 & yes flood | head -c 3000000`);
  const began = performance.now();
  configure({ createContainer: [...Array.from({ length: 60 }, () => hook), last] }, () => undefined, [
    "true",
  ]);
  expect(bundle.ctr("run", "--bundle", bundle.path, freshID())).toEqual({ code: 0, out: "", err: "" });
  expect(logged()).toBe("x".repeat(60));
  expect(performance.now() - began).toBeLessThan(15_000);
});

describe("a hook in the container whose ctr-bun is killed", () => {
  const slow = (kind: Kind) => shell(`echo there >>${logOf(kind)}; exec sleep 100`);

  test("ends with the container, and nothing is left to be found", async () => {
    for (const [kind, verb] of [
      ["createContainer", "create"],
      ["startContainer", "start"],
      ["startContainer", "run"],
    ] as const) {
      rmSync(outside, { force: true });
      configure({ [kind]: [slow(kind)] });
      const id = freshID();
      if (verb === "start") expect(bundle.ctr("create", "--bundle", bundle.path, id).code).toBe(0);
      const args = verb === "start" ? [verb, id] : [verb, "--bundle", bundle.path, id];
      const child = Bun.spawn([CTR_BUN, "--root", bundle.state, ...args], {
        stdio: ["ignore", "ignore", "ignore"],
      });
      const end = performance.now() + 10_000;
      while (words().length === 0 && performance.now() < end) await Bun.sleep(10);
      const pids = bundle.ctr("list", "-q").out === "" ? [] : [JSON.parse(bundle.ctr("state", id).out).pid];
      child.kill("SIGKILL");
      await child.exited;
      for (const pid of pids)
        while (![undefined, "Z"].includes(look(pid)?.state) && performance.now() < end) await Bun.sleep(10);
      expect(performance.now()).toBeLessThan(end);
      over(id);
      expect(await leftAfter(bundle, id, new Map())).toEqual([]);
    }
  });
});
