// The kernel of the virtual machine: Debian's for clouds, unpacked into build/vm and never installed, with the modules
// that containers need. What is booted with it is made in initramfs.ts.

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join, resolve } from "node:path";
import { asScript, run } from "../lib/run.ts";

const home = join(resolve(import.meta.dir, "../.."), "build/vm");
const folder = join(home, "kernel");

/**
 * Modules that a machine can be booted with, besides those that they need themselves. This kernel has no RDMA device
 * that is software alone (rdma_rxe, siw), and no realtime groups: those limits cannot be tried here.
 */
const offered = [
  ...["overlay", "loop", "erofs", "squashfs", "fuse", "veth", "bridge", "tun", "dummy"],
  // Block devices and a scheduler whose weights the io controller sets; what reads net_cls and net_prio.
  ...["brd", "bfq", "cls_cgroup", "sch_prio"],
] as const;

export type ModuleName = (typeof offered)[number];

export type Kernel = {
  /** The kernel as qemu loads it. */
  image: string;
  /** The files of modules and of those that they need, in an order in which insmod takes them. */
  modules(names: readonly ModuleName[]): string[];
};

/** The package with the kernel itself, which the package for "the current one" depends on. */
function packageName(): string {
  const find = () =>
    run(["apt-cache", "depends", "linux-image-cloud-amd64"]).match(/Depends: (linux-image-\S+)/)?.[1];
  const name = find() ?? (run(["apt-get", "-q", "update"]) && find());
  if (!name)
    throw new Error("apt knows no linux-image-cloud-amd64: the virtual machine needs Debian on amd64");
  return name;
}

/** The modules that `name` needs, itself last, as the .modinfo section of each tells. */
function withDependencies(files: ReadonlyMap<string, string>, name: string): string[] {
  const file = files.get(name);
  // Not there means built in.
  if (file === undefined) return [];
  const depends = readFileSync(file, "latin1").match(/\0depends=([^\0]*)\0/)?.[1] ?? "";
  return [
    ...depends
      .split(",")
      .filter(Boolean)
      .flatMap((other) => withDependencies(files, other)),
    file,
  ];
}

function unpack(work: string): void {
  run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", packageName()], { cwd: work });
  const archive = readdirSync(work).find((file) => file.endsWith(".deb"));
  if (archive === undefined) throw new Error("apt-get downloaded no kernel");
  const all = join(work, "all");
  run(["dpkg", "-x", join(work, archive), all]);
  const image = readdirSync(join(all, "boot")).find((file) => file.startsWith("vmlinuz-"));
  if (image === undefined) throw new Error(`${archive} holds no kernel`);

  const found = run(["find", join(all, "lib/modules"), "-name", "*.ko*"])
    .trim()
    .split("\n");
  const compressed = found.find((file) => !file.endsWith(".ko"));
  if (compressed !== undefined)
    throw new Error(`${basename(compressed)}: compressed modules are not supported here`);
  const files = new Map(found.map((file) => [basename(file, ".ko").replaceAll("-", "_"), file]));
  mkdirSync(join(work, "kernel"));
  copyFileSync(join(all, "boot", image), join(work, "kernel/vmlinuz"));
  for (const name of offered) {
    const order = withDependencies(files, name);
    for (const file of order) copyFileSync(file, join(work, "kernel", basename(file)));
    writeFileSync(join(work, "kernel", `${name}.order`), order.map((file) => basename(file)).join("\n"));
  }
}

/** True where the kernel was unpacked with all modules that are offered now. */
const isThere = (): boolean => offered.every((name) => existsSync(join(folder, `${name}.order`)));

function modules(names: readonly ModuleName[]): string[] {
  const order = names.flatMap((name) =>
    readFileSync(join(folder, `${name}.order`), "utf8")
      .split("\n")
      .filter(Boolean),
  );
  return [...new Set(order)].map((file) => join(folder, file));
}

/** The kernel, downloaded and unpacked the first time. */
export function kernel(): Kernel {
  if (!isThere()) {
    const started = performance.now();
    mkdirSync(home, { recursive: true });
    const work = mkdtempSync(join(home, ".making-"));
    try {
      unpack(work);
      rmSync(folder, { recursive: true, force: true });
      renameSync(join(work, "kernel"), folder);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
    console.log(`unpacked build/vm/kernel in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  }
  return { image: join(folder, "vmlinuz"), modules };
}

if (import.meta.main) await asScript(() => void kernel());
