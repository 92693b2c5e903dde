// SCMP_ACT_NOTIFY: the listener of a container's filter goes to a seccomp agent, which answers its calls.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inBackground } from "../support/background.ts";
import { type Bundle, CTR_BUN, freshID, makeBundle, runCommand } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";
import { leftOf } from "../support/left.ts";
import {
  type Agent,
  type AgentMode,
  buildAgent,
  numberOf,
  type Rules,
  startAgent,
} from "../support/seccomp-agent.ts";
import { until } from "../support/until.ts";

let bundle: Bundle;
let program: string;
let agent: Agent | undefined;
beforeAll(() => {
  bundle = makeBundle();
  mkdirSync(join(bundle.rootfs, "there"));
  program = buildAgent(bundle.path);
});
afterEach(async () => {
  await agent?.stop();
  agent = undefined;
  for (const id of existsSync(bundle.state) ? readdirSync(bundle.state) : [])
    bundle.ctr("delete", "--force", id);
});
afterAll(() => bundle.dispose());

const socket = () => join(bundle.path, "agent.sock");
const listen = async (rules: Rules = {}, mode: AgentMode = "answer"): Promise<Agent> => {
  agent = await startAgent(program, socket(), rules, mode);
  return agent;
};

/** A profile under which these calls are an agent's to answer. */
const asking =
  (names: string[], more: Record<string, unknown> = {}, change: (config: Config) => void = () => undefined) =>
  (config: Config): void => {
    config.root.readonly = false;
    config.linux.seccomp = {
      defaultAction: "SCMP_ACT_ALLOW",
      listenerPath: socket(),
      ...more,
      syscalls: [{ names, action: "SCMP_ACT_NOTIFY" }],
    };
    change(config);
  };
const privileged = (config: Config): void => {
  config.process.noNewPrivileges = false;
};
describe("a call of the program is answered", () => {
  test("with an errno: it is not made", async () => {
    const { calls } = await listen({ mkdir: "errno:28" });
    const { code, out, err } = bundle.run(["mkdir", "/tmp/a"], asking(["mkdir"]));
    expect([code, out]).toEqual([1, ""]);
    expect(err).toContain("No space left on device");
    expect(calls()).toEqual([numberOf("mkdir")]);
    expect(existsSync(join(bundle.rootfs, "tmp/a"))).toBe(false);
  });

  test("with a value: it is not made either", async () => {
    const { calls } = await listen({ mkdir: "value:0" });
    expect(bundle.run(["sh", "-c", "mkdir /tmp/b && ls /tmp"], asking(["mkdir"])).out).toBe("");
    expect(calls()).toEqual([numberOf("mkdir")]);
  });

  test("by letting it go on", async () => {
    const { calls } = await listen({ mkdir: "continue" });
    expect(bundle.run(["sh", "-c", "mkdir /tmp/c && ls /tmp"], asking(["mkdir"])).out).toBe("c\n");
    expect(calls()).toEqual([numberOf("mkdir")]);
  });

  test("with a descriptor of the agent's", async () => {
    const secret = join(bundle.path, "secret");
    writeFileSync(secret, "from outside\n");
    await listen({ openat: `file:${secret}` });
    writeFileSync(join(bundle.rootfs, "inside"), "from inside\n");
    // Busybox is static: the one file that it opens is the one it is told to.
    expect(bundle.run(["cat", "/inside"], asking(["open", "openat"])).out).toBe("from outside\n");
  });
});

describe("the agent gets the container process state", () => {
  test("of create: creating, with the metadata, on a connection that is closed", async () => {
    const { states, closed } = await listen();
    const id = freshID();
    bundle.configure(
      ["sleep", "100"],
      asking(["mkdir"], { listenerMetadata: 'a "b" ü' }, (config) => {
        config.annotations = { key: "value" };
      }),
    );
    expect(bundle.ctr("create", "--bundle", bundle.path, id)).toEqual({ code: 0, out: "", err: "" });
    const { pid } = JSON.parse(bundle.ctr("state", id).out);
    expect(await states(1)).toEqual([
      {
        ociVersion: "1.3.0",
        fds: ["seccompFd"],
        pid,
        metadata: 'a "b" ü',
        state: {
          ociVersion: "1.3.0",
          id,
          status: "creating",
          pid,
          bundle: bundle.path,
          annotations: { key: "value" },
        },
      },
    ]);
    expect(closed()).toEqual([true]);
    expect(bundle.ctr("start", id).code).toBe(0);
    bundle.ctr("delete", "--force", id);
  });

  test.each([true, false])(
    "of exec: its own pid, and the container's state (noNewPrivileges %p)",
    async (late) => {
      const { states, calls } = await listen({ mkdir: "errno:28" });
      const id = freshID();
      bundle.configure(["sleep", "100"], asking(["mkdir"], {}, late ? undefined : privileged));
      bundle.ctr("run", "--detach", "--bundle", bundle.path, id);
      const pidFile = join(bundle.path, "pid");
      const done = bundle.ctr("exec", "--pid-file", pidFile, id, "mkdir", "/tmp/d");
      expect(done.err).toContain("No space left on device");
      const container = JSON.parse(bundle.ctr("state", id).out).pid;
      expect((await states(2)).map(({ pid, state }) => [pid, state.pid, state.status])).toEqual([
        [container, container, "creating"],
        [Number(readFileSync(pidFile, "utf8")), container, "running"],
      ]);
      expect(calls()).toEqual([numberOf("mkdir")]);
      bundle.ctr("delete", "--force", id);
    },
  );

  test("longer than a socket's buffer, whole", async () => {
    const { states } = await listen();
    const annotations = Object.fromEntries(
      Array.from({ length: 40 }, (_, index) => [`key ${index}`, "x".repeat(20_000)]),
    );
    const { code } = bundle.run(
      ["true"],
      asking(["mkdir"], {}, (config) => {
        config.annotations = annotations;
      }),
    );
    expect([code, (await states(1))[0]?.state.annotations]).toEqual([0, annotations]);
  });

  test("at a path that is longer than a socket's name may be", async () => {
    const deep = join(bundle.path, "d".repeat(100), "e".repeat(100));
    mkdirSync(deep, { recursive: true });
    agent = await startAgent(program, join(deep, "agent.sock"));
    const { code, err } = bundle.run(["true"], asking(["mkdir"], { listenerPath: agent.socket }));
    expect([code, err, (await agent.states(1)).length]).toEqual([0, "", 1]);
  });
});

// What the init itself has yet to do waits for an answer as well, and gets it: the agent has the listener by then.
describe("no call of the init waits for nobody", () => {
  const ALL = ["write", "read", "sendmsg", "close", "prctl", "umask", "execve", "exit", "nanosleep"];
  test.each([true, false])("where every call of it is asked about (noNewPrivileges %p)", async (late) => {
    const { calls } = await listen({ execve: "continue" });
    const id = freshID();
    bundle.configure(["/bin/echo", "hello"], asking(ALL, {}, late ? undefined : privileged));
    expect(bundle.ctr("run", "--bundle", bundle.path, id)).toEqual({ code: 0, out: "hello\n", err: "" });
    expect(calls()).toEqual([numberOf("execve")]);
  });

  test.each([true, false])("by default, through create and start (noNewPrivileges %p)", async (late) => {
    const { calls } = await listen({ accept4: "continue", execve: "continue" });
    const id = freshID();
    bundle.configure(
      ["/bin/sleep", "100"],
      asking(["mkdir"], { defaultAction: "SCMP_ACT_NOTIFY" }, late ? undefined : privileged),
    );
    expect(await inBackground(bundle, "create", "--bundle", bundle.path, id)).toMatchObject({
      code: 0,
      err: "",
    });
    await until(() => calls().length === 1);
    expect(calls()).toEqual([numberOf("accept4")]);
    expect(bundle.ctr("start", id)).toEqual({ code: 0, out: "", err: "" });
    await until(() => calls().length === 2);
    bundle.ctr("delete", "--force", id);
  });

  test("with startContainer hooks and --init, which are under the filter", async () => {
    const { calls } = await listen({ mkdir: "value:0", execve: "continue" });
    const { code, out } = bundle.run(
      ["/bin/echo", "hello"],
      asking(["mkdir", "execve"], {}, (config) => {
        config.hooks = { startContainer: [{ path: "/bin/mkdir", args: ["mkdir", "/tmp/hook"] }] };
      }),
    );
    expect([code, out, calls()]).toEqual([
      0,
      "hello\n",
      [numberOf("execve"), numberOf("mkdir"), numberOf("execve")],
    ]);
    expect(existsSync(join(bundle.rootfs, "tmp/hook"))).toBe(false);
  });

  test("and what it refuses is told as any other failure", async () => {
    await listen({ execve: "errno:13" });
    const { code, err } = bundle.run(["/bin/echo", "hello"], asking(["execve"]));
    expect([code, err]).toEqual([126, expect.stringContaining("permission denied")]);
    expect(leftOf(bundle, "test-")).toEqual([]);
  });
});

describe("where the agent is not there", () => {
  const refused = (change: (config: Config) => void, verb = "create"): string => {
    const id = freshID();
    bundle.configure(["true"], change);
    const { code, err } = bundle.ctr(verb, "--bundle", bundle.path, id);
    expect([code, leftOf(bundle, id)]).toEqual([1, []]);
    return err;
  };

  test.each([true, false])("create and run fail, and leave nothing (noNewPrivileges %p)", (late) => {
    for (const verb of ["create", "run"]) {
      expect(refused(asking(["mkdir"], {}, late ? undefined : privileged), verb)).toBe(
        `ctr-bun: linux.seccomp.listenerPath: cannot give the seccomp listener to its agent: no such file or directory (connect ${socket()}: ENOENT)\n` +
          "  a seccomp agent must listen there before the container is made\n",
      );
    }
  });

  test("exec fails, and the container goes on", async () => {
    const { stop } = await listen();
    const id = freshID();
    bundle.configure(["sleep", "100"], asking(["mkdir"]));
    bundle.ctr("run", "--detach", "--bundle", bundle.path, id);
    await stop();
    const { code, err } = bundle.ctr("exec", id, "true");
    expect([code, err]).toEqual([255, expect.stringContaining("linux.seccomp.listenerPath: cannot give")]);
    expect(JSON.parse(bundle.ctr("state", id).out).status).toBe("running");
    bundle.ctr("delete", "--force", id);
  });

  test("a file that is no socket, and a socket that nobody listens at any more, are told apart", async () => {
    writeFileSync(socket(), "");
    expect(refused(asking(["mkdir"]))).toContain("connection refused");
    rmSync(socket());
    expect(refused(asking(["mkdir"], { listenerPath: `/${"x".repeat(120)}` }))).toContain("ENAMETOOLONG");
    expect(refused(asking(["mkdir"], { listenerPath: undefined }))).toContain(
      "linux.seccomp.listenerPath: missing: nobody would answer to SCMP_ACT_NOTIFY: mkdir",
    );
  });

  test("one that takes no connections fails create after a while", async () => {
    await listen({}, "deaf");
    const id = freshID();
    bundle.configure(["sleep", "100"], asking(["mkdir"]));
    // One may wait there, and its state is on its way.
    expect(bundle.ctr("create", "--bundle", bundle.path, id).code).toBe(0);
    expect(refusedLater()).toContain("timed out");
    bundle.ctr("delete", "--force", id);
  }, 60_000);

  const refusedLater = (): string => bundle.ctr("create", "--bundle", bundle.path, freshID()).err;

  test("one that dies leaves its calls with ENOSYS", async () => {
    const { exited } = await listen({ mkdir: "continue" }, "die");
    const { code, err } = bundle.run(["mkdir", "/tmp/e"], asking(["mkdir"]));
    expect([code, err]).toEqual([1, expect.stringContaining("Function not implemented")]);
    expect(await exited).toBe(0);
  });
});

describe("other ways to name an agent", () => {
  test("crun's annotation, and its variable", async () => {
    const { states } = await listen();
    const none = { listenerPath: undefined };
    const annotated = asking(["mkdir"], none, (config) => {
      config.annotations = { "run.oci.seccomp.receiver": socket() };
    });
    expect(bundle.run(["true"], annotated)).toEqual({ code: 0, out: "", err: "" });
    bundle.configure(["true"], asking(["mkdir"], none));
    const run = [CTR_BUN, "--root", bundle.state, "run", "--bundle", bundle.path, freshID()];
    const env = { PATH: process.env.PATH ?? "", RUN_OCI_SECCOMP_RECEIVER: socket() };
    expect(runCommand(run, { env })).toEqual({ code: 0, out: "", err: "" });
    expect((await states(2)).length).toBe(2);
  });

  test("are ignored where no call is to be answered", () => {
    const change = (config: Config): void => {
      asking(["mkdir"], { listenerPath: "/nobody", listenerMetadata: "m" })(config);
      const { syscalls } = config.linux.seccomp as { syscalls: { action: string }[] };
      for (const rule of syscalls) rule.action = "SCMP_ACT_ERRNO";
    };
    expect(bundle.run(["true"], change)).toEqual({ code: 0, out: "", err: "" });
  });
});

test("flags of the profile go with a listener: TSYNC, LOG, WAIT_KILLABLE_RECV", async () => {
  await listen({ mkdir: "errno:28" });
  const flags = ["TSYNC", "LOG", "SPEC_ALLOW", "WAIT_KILLABLE_RECV"].map(
    (name) => `SECCOMP_FILTER_FLAG_${name}`,
  );
  expect(bundle.run(["mkdir", "/tmp/f"], asking(["mkdir"], { flags })).err).toContain("No space left");
});

describe("ctr-bun as its own agent", () => {
  const runAnswering = (args: string[], change: (config: Config) => void, ...rules: string[]) => {
    bundle.configure(args, change);
    const script = join(import.meta.dir, "../support/run-answering.ts");
    const done = runCommand([process.execPath, script, bundle.path, bundle.state, freshID(), ...rules]);
    return { ...done, calls: JSON.parse(readFileSync(join(bundle.path, "calls"), "utf8")) as string[] };
  };

  test("is asked about every call of a run, the execve of its program first", () => {
    const all = asking(["mkdir"], { defaultAction: "SCMP_ACT_NOTIFY", listenerPath: undefined });
    const { code, out, err, calls } = runAnswering(
      ["sh", "-c", "mkdir /tmp/g; echo $?"],
      all,
      "mkdir=errno:28",
    );
    expect([code, out]).toEqual([0, "1\n"]);
    expect(err).toContain("No space left on device");
    expect(calls[0]).toBe("execve");
    expect(calls).toContain("mkdir");
    expect(calls.at(-1)).toBe("exit_group");
    for (const own of ["sendmsg", "accept4", "nanosleep"]) expect(calls).not.toContain(own);
  });

  test("answers what runs before the program too: startContainer hooks, the init without noNewPrivileges", () => {
    const hook = { path: "/bin/mkdir", args: ["mkdir", "/tmp/h"] };
    const change = asking(["mkdir", "capset"], { listenerPath: undefined }, (config) => {
      privileged(config);
      config.hooks = { startContainer: [hook] };
    });
    const { code, out, err, calls } = runAnswering(["/bin/echo", "hello"], change, "mkdir=value:0");
    expect([code, out, err]).toEqual([0, "hello\n", ""]);
    expect(calls).toEqual(["capset", "mkdir"]);
  });
});
