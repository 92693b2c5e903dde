// The root file system of the virtual machine, as cpio archives: busybox or a Debian with systemd, modules, ctr-bun, and
// what a test brings. Booting it is run.ts.

import { appendFileSync, copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { image } from "../images.ts";
import { type CpioFile, writeCpio } from "../lib/cpio.ts";
import { run } from "../lib/run.ts";
import { systemdFiles } from "./systemd.ts";

const root = resolve(import.meta.dir, "../..");

/** Files by their absolute path in the virtual machine. */
export type VmFiles = Readonly<Record<string, CpioFile>>;

/** The program that is PID 1. */
export type Init = "busybox" | "systemd";

/** How control groups are mounted: v2 alone, v1 alone, or the controllers in v1 and v2 beside them without any. */
export type CgroupSetup = "unified" | "hybrid" | "legacy";

/** The libraries that a dynamically linked executable opens, by their paths; none for a static one. */
function libraries(executable: string): string[] {
  const result = Bun.spawnSync(["ldd", executable], { stdin: "ignore", stderr: "ignore" });
  return [...result.stdout.toString().matchAll(/^\s*(?:\S+ => )?(\/\S+) \(0x/gm)].flatMap(
    ([, path]) => path ?? [],
  );
}

const realFile = (path: string): string => run(["readlink", "-f", path]).trim();

/** An executable of this host at `path` in the virtual machine, with the libraries that it needs to start. */
export function program(executable: string, path = executable): VmFiles {
  const files: Record<string, CpioFile> = { [path]: { from: realFile(executable) } };
  for (const library of libraries(executable)) files[library] = { from: realFile(library) };
  return files;
}

/** ctr-bun as it was built. */
function ctrBun(): VmFiles {
  const executable = join(root, "dist/ctr-bun");
  if (!existsSync(executable)) throw new Error(`${executable} is not there: npm run build makes it`);
  return program(executable, "/usr/local/bin/ctr-bun");
}

const own = (name: string): string => readFileSync(join(import.meta.dir, name), "utf8");

const busyboxFiles = (): VmFiles => ({
  "/init": { text: own("init.sh"), mode: 0o755 },
  "/bin/busybox": { from: "/bin/busybox" },
  "/etc/passwd": { text: "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n" },
  "/etc/group": { text: "root:x:0:\nnogroup:x:65534:\n" },
});

const debianFiles = (): VmFiles => ({
  "/init": { text: own("init-systemd.sh"), mode: 0o755 },
  "/bin/busybox": { from: "/bin/busybox" },
  ...systemdFiles,
});

/** Paths as they are where /bin, /lib and their like are links: a directory of an archive would replace the link. */
const merged = (files: VmFiles): VmFiles =>
  Object.fromEntries(
    Object.entries(files).map(([path, file]) => [
      path.replace(/^\/(bin|sbin|lib|lib64)\//, "/usr/$1/"),
      file,
    ]),
  );

/**
 * Writes the initramfs for one run to `out`. `modules` are loaded in this order; `script` becomes /test.sh, run with the
 * helpers of test-lib.sh.
 */
export function writeInitramfs(
  init: Init,
  modules: readonly string[],
  files: VmFiles,
  script: string,
  out: string,
): void {
  const all: VmFiles = {
    ...(init === "systemd" ? debianFiles() : busyboxFiles()),
    ...ctrBun(),
    ...Object.fromEntries(
      modules.map((file, index) => [
        `/modules/${String(index).padStart(2, "0")}-${basename(file)}`,
        { from: file },
      ]),
    ),
    ...files,
    "/test.sh": { text: `${own("test-lib.sh")}\n${script}\n` },
  };
  if (init === "busybox") {
    writeCpio(out, all);
    return;
  }
  const work = mkdtempSync(join(tmpdir(), "ctr-bun-vm-"));
  try {
    writeCpio(join(work, "own"), merged(all));
    copyFileSync(image("systemd.cpio"), out);
    appendFileSync(out, readFileSync(join(work, "own")));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
