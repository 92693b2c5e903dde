/**
 * A process in a container's cgroup, made as create and exec make theirs: a program of the init machine joins with the
 * driver's own rows and descriptors, clones (into the cgroup, where the driver says so), and waits for a word.
 * Not here: containers (bench.ts), or what a process does (the sections of the suite).
 */
import { readFileSync } from "node:fs";
import type { CgroupJoin, CgroupPart } from "../../../src/driver.ts";
import {
  CLONE_PARENT,
  CLOSE_RANGE_CLOEXEC,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  SIGKILL,
} from "../../../src/kernel/constants.ts";
import { errnoName } from "../../../src/kernel/errno.ts";
import { close, open, withFd } from "../../../src/kernel/file.ts";
import { executableMemfd } from "../../../src/kernel/memfd.ts";
import { viewOf, words } from "../../../src/kernel/memory.ts";
import { type Ending, spawn, tryKill, waitPid } from "../../../src/kernel/process.ts";
import { sys } from "../../../src/kernel/raw.ts";
import { receive, socketPair } from "../../../src/kernel/socket.ts";
import { type MachineArch, writeProgram } from "../../../src/machine/program.ts";
import { REPORT } from "../../../src/machine/report.ts";
import { ORPHANED, row, syncStep } from "../../../src/plan/rows.ts";
import { CHILD, cloneStep } from "../../../src/plan/stage0.ts";
import type { InitStep, Row } from "../../../src/plan/step.ts";

const ARCH: MachineArch = process.arch === "arm64" ? "aarch64" : "x86_64";
/** What a process does once it may: a script for sh, or rows of the machine with the buffers that they use. */
export type Work =
  | string
  | { readonly rows: readonly Row[]; readonly buffers?: NonNullable<InitStep["buffers"]> };

/** A process in a cgroup. */
export interface Inside {
  readonly pid: number;
  /** Lets it do its work. */
  go(): void;
  /** How it ended; undefined while it runs. */
  ended(): Ending | undefined;
  /** What it and its children wrote so far, errors too. */
  output(): string;
  /** SIGKILL, and waits for its end. */
  end(): void;
}

/** The rows of the child: wait, then work. */
function childStep(work: Work): InitStep {
  const script: Row[] = [
    row("close_range", [3, 0xffffffff, CLOSE_RANGE_CLOEXEC]),
    row("execve", [
      "/bin/sh",
      { words: ["sh", "-c", typeof work === "string" ? work : "", 0] },
      { words: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", 0] },
    ]),
  ];
  const wait = row("read", [{ fd: "report" }, { at: "word" }, 8], { label: CHILD, onZero: ORPHANED });
  const [rows, buffers] = typeof work === "string" ? [script, {}] : [work.rows, work.buffers];
  return {
    on: "init",
    field: "process",
    about: "work",
    rows: [wait, ...rows],
    buffers: { ...buffers, word: 8 },
  };
}

/**
 * Starts it, waiting. `opened` are the descriptors of the driver's part by name. `path`: the file that takes its output.
 * `attach` does what the driver wants done while the process that makes it waits, which it is given.
 * Throws what the kernel said where it cannot join.
 */
export function startInside(
  part: Pick<CgroupPart, "attach" | "join" | "cloneInto"> & Pick<CgroupJoin, "inside">,
  opened: ReadonlyMap<string, number>,
  work: Work,
  path: string,
  attach: (stage0: number) => void,
): Inside {
  const [ours, theirs] = socketPair();
  const attaches = (part.attach ?? []).length > 0;
  const wait = attaches ? [syncStep("cgroup", "linux.cgroupsPath", "wait to be put into the cgroup")] : [];
  // What makes the process joins too what that may join by itself: so it is there before anything is made.
  const joins = [...part.join, ...(part.inside ?? [])];
  const steps = [...wait, ...joins, cloneStep(CLONE_PARENT, part.cloneInto), childStep(work)];
  const descriptors = { ...Object.fromEntries(opened), report: theirs };
  const { elf, rows } = writeProgram({ arch: ARCH, steps, descriptors });
  const nothing = open("/dev/null", O_RDONLY);
  const output = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600);
  const stage0 = withFd(executableMemfd("inside", elf), (program) =>
    spawn({
      program,
      argv: ["inside"],
      env: [],
      stdio: [nothing, output, output],
      inherit: Object.values(descriptors),
    }),
  );
  for (const fd of [nothing, output, theirs]) close(fd);
  const message = new Uint8Array(16);
  if (attaches) {
    receive(ours, message);
    try {
      attach(stage0);
    } catch (error) {
      tryKill(stage0, SIGKILL);
      waitPid(stage0);
      close(ours);
      throw error;
    }
    sys("write", ours, words(0), 8);
  }
  const { length } = receive(ours, message);
  waitPid(stage0);
  const view = viewOf(message);
  if (length === 0) throw new Error("was killed before it could say anything");
  if (view.getUint32(0, true) !== REPORT.pid) {
    const failed = rows[view.getUint32(8, true)];
    throw new Error(`cannot join: ${failed?.call}: ${errnoName(view.getUint32(4, true))}`);
  }
  const pid = view.getUint32(4, true);
  let waits = true;
  let ending: Ending | undefined;
  const ended = (): Ending | undefined => {
    ending ??= waitPid(pid, true);
    return ending;
  };
  return {
    pid,
    go() {
      waits = false;
      sys("write", ours, words(1), 8);
      close(ours);
    },
    ended,
    output: () => readFileSync(path, "utf8"),
    end() {
      if (ended() === undefined) {
        tryKill(pid, SIGKILL);
        ending = waitPid(pid);
      }
      if (waits) close(ours);
      waits = false;
    },
  };
}
