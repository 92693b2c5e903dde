// The root file system of the virtual machine, as cpio archives: busybox, modules, ctr-bun with the libraries it is
// linked to, and what a test brings. Booting it is run.ts.

import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { run } from "../lib/run.ts";
import type { Kernel } from "./kernel.ts";

const root = resolve(import.meta.dir, "../..");

/** A file of the virtual machine: its text, or a file or folder of this host that is copied with its modes. */
export type VmFile = { text: string; mode?: number } | { from: string };

/** Files by their absolute path in the virtual machine. */
export type VmFiles = Readonly<Record<string, VmFile>>;

function place(stage: string, path: string, file: VmFile): void {
  const target = join(stage, path);
  mkdirSync(dirname(target), { recursive: true });
  if ("from" in file) {
    // cp keeps modes, owners, links and device nodes.
    run(["cp", "-aT", file.from, target]);
    return;
  }
  writeFileSync(target, file.text);
  chmodSync(target, file.mode ?? 0o644);
}

/** The libraries that a dynamically linked executable opens, by their paths; none for a static one. */
function libraries(executable: string): string[] {
  const result = Bun.spawnSync(["ldd", executable], { stdin: "ignore", stderr: "ignore" });
  return [...result.stdout.toString().matchAll(/^\s*(?:\S+ => )?(\/\S+) \(0x/gm)].flatMap(
    ([, path]) => path ?? [],
  );
}

/** ctr-bun as it was built, with what it needs to start. */
function ctrBun(): VmFiles {
  const executable = join(root, "dist/ctr-bun");
  if (!existsSync(executable)) throw new Error(`${executable} is not there: npm run build makes it`);
  const files: Record<string, VmFile> = { "/usr/local/bin/ctr-bun": { from: executable } };
  for (const library of libraries(executable)) files[library] = { from: realFile(library) };
  return files;
}

const realFile = (path: string): string => run(["readlink", "-f", path]).trim();

/** Writes a cpio archive that the kernel unpacks: everything below `stage`. */
function archive(stage: string, out: string): void {
  // Sorted and owned by root, whoever runs this.
  const list = run(["find", ".", "-mindepth", "1", "-printf", "%P\\n"], { cwd: stage })
    .split("\n")
    .filter(Boolean)
    .sort();
  run(["cpio", "-o", "-H", "newc", "--quiet", "-F", out], { cwd: stage, input: `${list.join("\n")}\n` });
}

/** Writes the initramfs for one run to `out`. `script` becomes /test.sh, run with the helpers of test-lib.sh. */
export async function writeInitramfs(
  kernel: Kernel,
  files: VmFiles,
  script: string,
  out: string,
): Promise<void> {
  const stage = mkdtempSync(join(tmpdir(), "ctr-bun-vm-"));
  try {
    const helpers = await Bun.file(join(import.meta.dir, "test-lib.sh")).text();
    const all: VmFiles = {
      "/init": { text: await Bun.file(join(import.meta.dir, "init.sh")).text(), mode: 0o755 },
      "/bin/busybox": { from: "/bin/busybox" },
      "/etc/passwd": { text: "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n" },
      "/etc/group": { text: "root:x:0:\nnogroup:x:65534:\n" },
      ...ctrBun(),
      ...Object.fromEntries(kernel.modules.map((file) => [`/modules/${basename(file)}`, { from: file }])),
      ...files,
      "/test.sh": { text: `${helpers}\n${script}\n` },
    };
    for (const [path, file] of Object.entries(all)) place(stage, path, file);
    archive(stage, out);
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}
