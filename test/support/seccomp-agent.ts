// Seccomp agents for tests (seccomp-agent.c, built once), and what they heard.
import { expect } from "bun:test";
import { openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { SYSCALLS, type Syscall } from "../../src/kernel/syscalls.ts";
import { parseDocument } from "../../src/spec/parse.ts";
import { ContainerProcessState } from "../../src/spec/runtime/state.ts";
import { runCommand } from "./bundle.ts";
import { until } from "./until.ts";

/** `answer` by its rules; `die` at the first call that there is one for; `deaf`: take no connections; `mute`: no answers. */
export type AgentMode = "answer" | "die" | "deaf" | "mute" | "refuse";
/** What a call of that name comes to: `errno:13`, `value:7`, `file:/etc/hostname`, `continue`. */
export type Rules = Readonly<Partial<Record<Syscall | "mkdir" | "getpgrp", string>>>;

export interface Agent {
  readonly socket: string;
  /** The states that came, in order, once there are that many. */
  states(count: number): Promise<ContainerProcessState[]>;
  /** Whether the connection of each state was closed. */
  closed(): boolean[];
  /** Numbers of the calls that there is a rule for, in order. */
  calls(): number[];
  readonly exited: Promise<number>;
  stop(): Promise<void>;
}

/** Calls that only x86-64 has. */
const OLD = { mkdir: 83, getpgrp: 111 } as const;
/** What became of the connection that a state came on. */
const CONNECTION = /^(closed|left open)$/;
const isArm = process.arch === "arm64";

export function numberOf(name: Syscall | keyof typeof OLD): number {
  return name === "mkdir" || name === "getpgrp" ? OLD[name] : SYSCALLS[name][isArm ? 1 : 0];
}

/** Builds the agent in a folder and returns its path. */
export function buildAgent(folder: string): string {
  const program = join(folder, "seccomp-agent");
  const source = join(import.meta.dir, "seccomp-agent.c");
  const built = runCommand(["gcc", "-static", "-Wall", "-Wextra", "-Werror", "-o", program, source]);
  expect(built).toEqual({ code: 0, out: "", err: "" });
  return program;
}

/** Starts one, and waits until it listens. */
export async function startAgent(
  program: string,
  socket: string,
  rules: Rules = {},
  mode: AgentMode = "answer",
): Promise<Agent> {
  rmSync(socket, { force: true });
  const log = `${program}.log`;
  const out = openSync(log, "w");
  const words = Object.entries(rules).map(([name, rule]) => `${numberOf(name as Syscall)}=${rule}`);
  const child = Bun.spawn([program, socket, mode, ...words], { stdio: ["ignore", out, out] });
  const lines = () => readFileSync(log, "utf8").split("\n");
  await until(() => lines().includes("ready"));
  const after = (word: string) =>
    lines().flatMap((line) => (line.startsWith(`${word} `) ? [line.slice(word.length + 1)] : []));
  return {
    socket,
    async states(count) {
      // The line behind a state is written after it.
      await until(() => lines().filter((line) => CONNECTION.test(line)).length >= count);
      return after("state").map((text) => parseDocument(ContainerProcessState, JSON.parse(text), "state"));
    },
    closed: () => lines().flatMap((line) => (CONNECTION.test(line) ? [line === "closed"] : [])),
    calls: () => after("call").map((text) => Number(text.split(" ")[0])),
    exited: child.exited,
    async stop() {
      child.kill();
      await child.exited;
      rmSync(socket, { force: true });
    },
  };
}
