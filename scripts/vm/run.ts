// Boots a virtual machine with a kernel of its own, in which cgroup v2 is pure, runs a shell script in it, and reads
// its results from the serial console. Always emulated (TCG): it must not depend on the host's KVM.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type VmFiles, writeInitramfs } from "./initramfs.ts";
import { kernel } from "./kernel.ts";

export type VmResult = { ok: boolean; text: string };

export type VmRun = {
  /** By the name that the script gave. Lines of a result's text are joined by "|". */
  results: Map<string, VmResult>;
  /** The exit code of the script; undefined where the machine did not get to its end. */
  exitCode: number | undefined;
  /** All that was written to the console. */
  console: string;
};

export type VmOptions = {
  files?: VmFiles;
  /** Run by busybox sh as root, with the functions of test-lib.sh. */
  script: string;
  /** More for the kernel's command line. */
  append?: string;
  /** Milliseconds after which the machine is ended. */
  timeout?: number;
  /** Mebibytes of memory. */
  memory?: number;
};

/** Reads results out of the console's text, where a line ends with carriage return and newline. */
export function parseConsole(text: string): Omit<VmRun, "console"> {
  const results = new Map<string, VmResult>();
  for (const [, name, status, rest] of text.matchAll(/::result (\S+) (ok|FAIL) ?([^\r\n]*)/g)) {
    if (name !== undefined) results.set(name, { ok: status === "ok", text: rest ?? "" });
  }
  const end = text.match(/^::end (\d+)\r?$/m)?.[1];
  return { results, exitCode: end === undefined ? undefined : Number(end) };
}

/** Boots, runs `script`, turns off. Throws, with the console's end, where the machine does not reach its end in time. */
export async function runInVm({
  files = {},
  script,
  append = "",
  timeout = 120_000,
  memory = 2048,
}: VmOptions): Promise<VmRun> {
  const work = mkdtempSync(join(tmpdir(), "ctr-bun-vm-"));
  try {
    const booted = kernel();
    const initrd = join(work, "initrd");
    await writeInitramfs(booted, files, script, initrd);
    const child = Bun.spawn(
      [
        ...[
          "qemu-system-x86_64",
          "-accel",
          "tcg",
          "-cpu",
          "max",
          "-m",
          `${memory}`,
          "-nographic",
          "-no-reboot",
        ],
        ...[
          "-kernel",
          booted.image,
          "-initrd",
          initrd,
          "-append",
          `console=ttyS0 quiet panic=-1 ${append}`.trim(),
          "-nic",
          "none",
        ],
      ],
      { stdin: "ignore", stdout: "pipe", stderr: "pipe" },
    );
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill("SIGKILL");
    }, timeout);
    const [output, errors] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    await child.exited;
    clearTimeout(timer);
    const run = { ...parseConsole(output), console: output };
    if (run.exitCode === undefined) {
      const why = timedOut ? `was ended after ${timeout / 1000} s` : "stopped before its script ended";
      throw new Error(`the virtual machine ${why}\n${errors}${output.slice(-4000)}`);
    }
    return run;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
