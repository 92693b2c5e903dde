// Boots a virtual machine with a kernel of its own, busybox or systemd as its init, and control groups of either version,
// runs a shell script in it, and reads its results from the serial console. Always emulated (TCG): it must not depend on
// the host's KVM.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CgroupSetup, type Init, type VmFiles, writeInitramfs } from "./initramfs.ts";
import { kernel, type ModuleName } from "./kernel.ts";

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
  /** Run as root by sh, busybox's or Debian's, with the functions of test-lib.sh. */
  script: string;
  /** "busybox" where not said. With "systemd" the script is run by a service, once multi-user.target is reached. */
  init?: Init;
  /** "unified" where not said. */
  cgroup?: CgroupSetup;
  /** What is loaded on top of the modules that every machine has. */
  modules?: readonly ModuleName[];
  /** Processors; one where not said. */
  cpus?: number;
  /** Memory nodes, each with as much memory and as many processors as the others; one where not said. */
  nodes?: number;
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

/** What makes systemd mount control groups so; see systemd(1), "Kernel command line". */
const systemdParameters: Readonly<Record<CgroupSetup, string>> = {
  unified: "systemd.unified_cgroup_hierarchy=1",
  hybrid: "systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=0",
  legacy: "systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1",
};

/** What containers need: every machine loads these. */
const usualModules = [
  "overlay",
  "loop",
  "erofs",
  "squashfs",
  "fuse",
  "veth",
  "bridge",
  "tun",
  "dummy",
] as const;

/** Boots, runs `script`, turns off. Throws, with the console's end, where the machine does not reach its end in time. */
export async function runInVm({
  files = {},
  script,
  init = "busybox",
  cgroup = "unified",
  modules = [],
  cpus = 1,
  nodes = 1,
  append = "",
  timeout = 120_000,
  memory = 2048,
}: VmOptions): Promise<VmRun> {
  const work = mkdtempSync(join(tmpdir(), "ctr-bun-vm-"));
  try {
    const { image, modules: modulesOf } = kernel();
    const initrd = join(work, "initrd");
    writeInitramfs(init, modulesOf([...usualModules, ...modules]), files, script, initrd);
    // The kernel makes a variable of init's environment of what it does not know: init.sh reads this one.
    const mode = init === "systemd" ? systemdParameters[cgroup] : `vm_cgroup=${cgroup}`;
    // An emulated processor leaks nothing: what the kernel does against leaks would only take time, a fifth of all.
    const commandLine = `console=ttyS0 quiet panic=-1 mitigations=off ${mode} ${append}`.trim();
    const machine = ["-accel", "tcg", "-cpu", "max", "-smp", `${cpus}`, "-m", `${memory}`];
    for (let node = 0; nodes > 1 && node < nodes; node++) {
      const first = (node * cpus) / nodes;
      machine.push("-object", `memory-backend-ram,id=node${node},size=${memory / nodes}M`);
      machine.push("-numa", `node,memdev=node${node},cpus=${first}-${first + cpus / nodes - 1}`);
    }
    const devices = ["-nographic", "-no-reboot", "-nic", "none"];
    const boot = ["-kernel", image, "-initrd", initrd, "-append", commandLine];
    const child = Bun.spawn(["qemu-system-x86_64", ...machine, ...devices, ...boot], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
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
