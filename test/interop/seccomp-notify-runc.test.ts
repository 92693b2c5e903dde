/**
 * SCMP_ACT_NOTIFY under runc and under ctr-bun: the same agent, bundles and profiles. What the program says, what the
 * agent is sent and asked, and what is left where there is no agent.
 */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, CTR_BUN, freshID, makeBundle, type Result } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";
import { cgroupsOf } from "../support/left.ts";
import { type Agent, buildAgent, numberOf, type Rules, startAgent } from "../support/seccomp-agent.ts";
import { command } from "../support/two-runtimes.ts";

let bundle: Bundle;
let program: string;
let agent: Agent | undefined;
beforeAll(() => {
  bundle = makeBundle();
  program = buildAgent(bundle.path);
});
afterEach(async () => {
  await agent?.stop();
  agent = undefined;
});
afterAll(() => bundle.dispose());

const RUNTIMES = { runc: "runc", ours: CTR_BUN } as const;
const socket = () => join(bundle.path, "agent.sock");

/** One of the two: its state directory, and its verbs. */
interface Way {
  readonly id: string;
  readonly state: string;
  ask(...args: string[]): Promise<Result>;
}

/** The same with both, one after the other; `work` gives what is compared. */
async function both<T>(
  args: string[],
  profile: Record<string, unknown>,
  work: (way: Way) => Promise<T>,
): Promise<{ runc: T; ours: T }> {
  const by = async (name: keyof typeof RUNTIMES): Promise<T> => {
    const id = freshID();
    bundle.configure(args, (config: Config) => {
      config.root.readonly = false;
      config.annotations = { key: "value" };
      config.linux.cgroupsPath = `/ctr-bun/${id}`;
      config.linux.seccomp = {
        defaultAction: "SCMP_ACT_ALLOW",
        listenerPath: socket(),
        listenerMetadata: 'a "b" ü',
        syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_NOTIFY" }],
        ...profile,
      };
    });
    const state = join(bundle.path, `${name}-state`);
    mkdirSync(state, { recursive: true });
    const ask = (...more: string[]) => command([RUNTIMES[name], "--root", state, ...more]);
    try {
      return await work({ id, state, ask });
    } finally {
      await ask("delete", "--force", id);
      await agent?.stop();
      agent = undefined;
      rmSync(join(bundle.rootfs, "tmp/new"), { recursive: true, force: true });
    }
  };
  return { runc: await by("runc"), ours: await by("ours") };
}

const listen = async (rules: Rules): Promise<Agent> => {
  agent = await startAgent(program, socket(), rules);
  return agent;
};

/** What the agent was sent, with names for what differs from run to run. */
async function sent({ states }: Agent, count: number, id: string, pids: Record<string, number>) {
  const names = new Map(Object.entries(pids).map(([name, pid]) => [pid, name]));
  return (await states(count)).map(({ ociVersion: _, pid, state, ...rest }) => {
    const { ociVersion: __, pid: container, id: own, ...others } = state;
    return {
      ...rest,
      pid: names.get(pid) ?? pid,
      state: { ...others, id: own === id ? "ID" : own, pid: names.get(container ?? -1) ?? container },
    };
  });
}

test.each([
  ["errno:28", 1, ""],
  ["value:0", 0, "made\n"],
  ["continue", 0, "made\n"],
] as const)("run: mkdir is answered by %s", async (rule, code, out) => {
  const { runc, ours } = await both(["sh", "-c", "mkdir /tmp/new && echo made"], {}, async ({ id, ask }) => {
    const { calls } = await listen({ mkdir: rule });
    return { ...(await ask("run", "--bundle", bundle.path, id)), calls: calls() };
  });
  expect(runc).toMatchObject({ code, out, calls: [numberOf("mkdir")] });
  expect(ours).toEqual(runc);
});

test("create, start and exec: what the agent is sent", async () => {
  const { runc, ours } = await both(["sleep", "1000"], {}, async ({ id, ask }) => {
    const heard = await listen({ mkdir: "errno:13" });
    const pidFile = join(bundle.path, "pid");
    const pid = () => Number(readFileSync(pidFile, "utf8"));
    expect(await ask("create", "--pid-file", pidFile, "--bundle", bundle.path, id)).toMatchObject({
      code: 0,
    });
    const container = pid();
    expect(await ask("start", id)).toMatchObject({ code: 0 });
    const ran = await ask("exec", "--pid-file", pidFile, id, "mkdir", "/tmp/exec");
    return { ran, calls: heard.calls(), states: await sent(heard, 2, id, { container, exec: pid() }) };
  });
  expect(runc.ran).toMatchObject({ code: 1, err: expect.stringContaining("Permission denied") });
  expect(runc.states.map(({ metadata, pid }) => [metadata, pid])).toEqual([
    ['a "b" ü', "container"],
    ['a "b" ü', "exec"],
  ]);
  expect(ours).toEqual(runc);
});

test.each(["run", "create"])("%s without an agent fails, and leaves nothing", async (verb) => {
  const { runc, ours } = await both(["true"], {}, async ({ id, state, ask }) => {
    const { code, err } = await ask(verb, "--bundle", bundle.path, id);
    return {
      code,
      told: err.includes("no such file or directory"),
      left: [...readdirSync(state), ...cgroupsOf(id)],
    };
  });
  expect(runc).toEqual({ code: 1, told: true, left: [] });
  expect(ours).toEqual(runc);
});

test("exec without an agent fails, and the container goes on", async () => {
  const { runc, ours } = await both(["sleep", "1000"], {}, async ({ id, ask }) => {
    const { stop } = await listen({});
    expect(await ask("run", "--detach", "--bundle", bundle.path, id)).toMatchObject({ code: 0 });
    await stop();
    expect(existsSync(socket())).toBe(false);
    const { code, out } = await ask("exec", id, "echo", "hello");
    return { code, out, status: JSON.parse((await ask("state", id)).out).status };
  });
  expect(runc).toEqual({ code: 255, out: "", status: "running" });
  expect(ours).toEqual(runc);
});
