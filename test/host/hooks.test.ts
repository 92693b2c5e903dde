// Hooks of the runtime namespace: when they run, what they get, and what the failure of one means. Those in the
// container's namespaces are in container-hooks.test.ts.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, freshID, makeBundle } from "../support/bundle.ts";
import { leftOf } from "../support/left.ts";

let bundle: Bundle;
let log: string;
beforeAll(() => {
  bundle = makeBundle();
  log = join(bundle.path, "log");
});
afterAll(() => bundle.dispose());
beforeEach(() => rmSync(log, { force: true }));

/** A hook that adds a line to the log: its word, and the state that it got. */
const note = (word: string, then = "true") => ({
  path: "/bin/sh",
  args: ["hook", "-c", `{ echo ${word}; cat; echo; } >>${log}; ${then}`],
});
const shell = (line: string, more: object = {}) => ({ path: "/bin/sh", args: ["sh", "-c", line], ...more });

type State = { id: string; status: string; pid: number; bundle: string; annotations?: object };

/** What was noted, in order. */
function noted(): { word: string; state: State }[] {
  if (!existsSync(log)) return [];
  const lines = readFileSync(log, "utf8").split("\n").filter(Boolean);
  return lines.flatMap((word, at) =>
    at % 2 === 0 ? [{ word, state: JSON.parse(lines[at + 1] ?? "null") as State }] : [],
  );
}

function configure(hooks: object, args = ["true"]): void {
  bundle.configure(args, (config) => {
    config.hooks = hooks;
    config.annotations = { "org.example.key": "value" };
  });
}

const all = () => ({
  prestart: [note("prestart 0"), note("prestart 1")],
  createRuntime: [note("createRuntime")],
  poststart: [note("poststart")],
  poststop: [note("poststop 0"), note("poststop 1")],
});

describe("hooks", () => {
  test("run in the order of the lifecycle, each with the state on standard input", () => {
    const id = freshID();
    configure(all(), ["sleep", "100"]);
    const words = () => noted().map(({ word }) => word);
    expect(bundle.ctr("create", "--bundle", bundle.path, id)).toEqual({ code: 0, out: "", err: "" });
    expect(words()).toEqual(["prestart 0", "prestart 1", "createRuntime"]);
    const { pid } = JSON.parse(bundle.ctr("state", id).out);
    expect(bundle.ctr("start", id).code).toBe(0);
    expect(words().at(-1)).toBe("poststart");
    expect(bundle.ctr("delete", "--force", id)).toEqual({ code: 0, out: "", err: "" });
    expect(words()).toEqual([
      "prestart 0",
      "prestart 1",
      "createRuntime",
      "poststart",
      "poststop 0",
      "poststop 1",
    ]);
    for (const { word, state } of noted()) {
      const stage = word.split(" ")[0] ?? "";
      const status = { poststart: "running", poststop: "stopped" }[stage] ?? "creating";
      const annotations = { "org.example.key": "value" };
      expect(state).toEqual({
        ociVersion: expect.stringMatching(/^1\./),
        id,
        status,
        pid: status === "stopped" ? 0 : pid,
        bundle: bundle.path,
        annotations,
      } as never);
    }
  });

  test("run around `run` too", () => {
    configure(all());
    expect(bundle.ctr("run", "--bundle", bundle.path, freshID()).code).toBe(0);
    expect(noted().map(({ word }) => word)).toEqual([
      ...["prestart 0", "prestart 1", "createRuntime", "poststart", "poststop 0", "poststop 1"],
    ]);
  });

  test("find the container's namespaces and mounts made, and the old root still there", () => {
    const out = join(bundle.path, "seen");
    configure({
      createRuntime: [
        shell(
          `pid=$(sed 's/.*"pid":\\([0-9]*\\).*/\\1/'); readlink /proc/$pid/ns/net >${out}; grep -c " ${bundle.rootfs}/proc " /proc/$pid/mountinfo >>${out}; hostname >>${out}`,
        ),
      ],
    });
    expect(bundle.ctr("run", "--bundle", bundle.path, freshID())).toEqual({ code: 0, out: "", err: "" });
    const [net, mounts, hostname] = readFileSync(out, "utf8").split("\n");
    expect(net).toMatch(/^net:\[\d+\]$/);
    expect(net).not.toBe(readlinkSync("/proc/self/ns/net"));
    expect(mounts).toBe("1");
    expect(hostname).not.toBe("container");
  });

  test("have their own arguments and environment, and nothing of ctr-bun's", () => {
    const out = join(bundle.path, "env");
    configure({
      prestart: [
        {
          path: "/bin/sh",
          args: [
            "a name",
            "-c",
            `echo "$0" >${out}; env | grep -v -e ^PWD -e ^_ -e ^SHLVL | sort >>${out}; pwd >>${out}; ls /proc/self/fd | tr '\\n' ' ' >>${out}`,
          ],
          env: ["B=2 3", "A=", "PATH=/usr/bin:/bin"],
        },
      ],
    });
    expect(bundle.ctr("run", "--bundle", bundle.path, freshID())).toEqual({ code: 0, out: "", err: "" });
    expect(readFileSync(out, "utf8")).toBe(`a name\nA=\nB=2 3\nPATH=/usr/bin:/bin\n${bundle.path}\n0 1 2 3 `);
  });
});

describe("a hook that fails", () => {
  test("before the program ends the container, with what it said, and nothing is left", () => {
    for (const stage of ["prestart", "createRuntime"]) {
      rmSync(log, { force: true });
      const id = freshID();
      configure({
        [stage]: [note("first"), shell("echo this is why >&2; exit 3"), note("never")],
        poststart: [note("poststart")],
      });
      for (const verb of ["create", "run"]) {
        const { code, err } = bundle.ctr(verb, "--bundle", bundle.path, id);
        expect(code).toBe(1);
        expect(err).toContain(`hooks.${stage}[1]: the hook ended with 3: this is why`);
        expect(leftOf(bundle, id)).toEqual([]);
      }
      expect(noted().map(({ word }) => word)).toEqual(["first", "first"]);
    }
  });

  test("that takes too long is killed, with all that holds its output", () => {
    const sleeper = join(bundle.path, "sleeper");
    configure({ createRuntime: [shell(`sleep 30 & echo $! >${sleeper}; wait`, { timeout: 1 })] });
    const start = performance.now();
    const { code, err } = bundle.ctr("create", "--bundle", bundle.path, freshID());
    expect(performance.now() - start).toBeLessThan(15_000);
    expect(code).toBe(1);
    expect(err).toContain("hooks.createRuntime[0]: the hook timed out after 1 s");
    process.kill(Number(readFileSync(sleeper, "utf8")));
    expect(bundle.ctr("list", "-q").out).toBe("");
  });

  test("because it is not there names its path", () => {
    configure({ prestart: [{ path: "/nowhere/hook" }] });
    const { code, err } = bundle.ctr("run", "--bundle", bundle.path, freshID());
    expect(code).toBe(1);
    expect(err).toContain("hooks.prestart[0].path: ");
    expect(err).toContain("/nowhere/hook");
  });

  test("killed by a signal says so", () => {
    configure({ prestart: [shell("kill -SEGV $$")] });
    expect(bundle.ctr("run", "--bundle", bundle.path, freshID()).err).toContain("was killed by SIGSEGV");
  });

  test("after the program has started stops it: start and run are errors", () => {
    configure({ poststart: [shell("exit 4")], poststop: [note("poststop")] }, ["sleep", "100"]);
    const id = freshID();
    const run = bundle.ctr("run", "--bundle", bundle.path, id);
    expect(run.code).toBe(1);
    expect(run.err).toContain("hooks.poststart[0]: the hook ended with 4");
    expect(leftOf(bundle, id)).toEqual([]);
    expect(noted().map(({ word }) => word)).toEqual(["poststop"]);
    expect(bundle.ctr("run", "--detach", "--bundle", bundle.path, id).code).toBe(1);
    expect(leftOf(bundle, id)).toEqual([]);
    bundle.ctr("create", "--bundle", bundle.path, id);
    expect(bundle.ctr("start", id).err).toContain("hooks.poststart[0]: the hook ended with 4");
    expect(JSON.parse(bundle.ctr("state", id).out).status).toBe("stopped");
    expect(bundle.ctr("delete", id)).toEqual({ code: 0, out: "", err: "" });
  });

  test("when all is over is a warning, and the others run", () => {
    configure({ poststop: [note("poststop 0", "exit 5"), note("poststop 1")] });
    const { code, err } = bundle.ctr("run", "--bundle", bundle.path, freshID());
    expect(code).toBe(0);
    expect(err).toContain("warning: hooks.poststop[0]: the hook ended with 5");
    expect(noted().map(({ word }) => word)).toEqual(["poststop 0", "poststop 1"]);
  });
});
