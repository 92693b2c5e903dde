// Podman in a folder of its own: a store with the image `box` (busybox without a command), both runtimes by name, and
// what it takes to leave nothing behind.

import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand } from "../support/bundle.ts";
import { imagePath } from "../support/images.ts";
import { type Engine, makeRuntimes, type Runtimes, runtimeNames } from "../support/two-runtimes.ts";

export interface Podman extends Engine {
  readonly folder: string;
  readonly runtimes: Runtimes;
  /** State directories and cgroups that are left of its containers. */
  left(): string[];
  end(): void;
}

export function startPodman(): Podman {
  const folder = mkdtempSync(join(tmpdir(), "ctr-bun-podman-"));
  const runtimes = makeRuntimes(folder);
  const names = runtimeNames.map((name) => `"${name}"`).join(", ");
  writeFileSync(
    join(folder, "containers.conf"),
    [
      // Podman's own limits are above what a host without CAP_SYS_RESOURCE may set.
      '[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]',
      // As it has it for runc by its name: errors are read from --log.
      `[engine]\nruntime_supports_json = [${names}]\n[engine.runtimes]`,
      ...runtimeNames.map((name) => `"${name}" = ["${runtimes.path[name]}"]`),
      "",
    ].join("\n"),
  );
  const places = [
    ...["--root", join(folder, "root"), "--runroot", join(folder, "run"), "--tmpdir", join(folder, "tmp")],
    ...["--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", "--events-backend", "file"],
  ];
  const env = {
    PATH: process.env.PATH ?? "",
    HOME: folder,
    TMPDIR: folder,
    CONTAINERS_CONF: join(folder, "containers.conf"),
  };
  // conmon leaves an empty file named oom in its working directory.
  const options = { env, cwd: folder };
  const podman: Podman = {
    folder,
    runtimes,
    options,
    line: (name, args) => ["podman", ...places, "--runtime", name, ...args],
    left() {
      const state = "/run/ctr-bun/oci";
      const ids = existsSync(state) ? readdirSync(state) : [];
      const ours = ids.filter((id) => {
        const file = join(state, id, "state.json");
        return existsSync(file) && readFileSync(file, "utf8").includes(folder);
      });
      const cgroups = parents().flatMap((path) =>
        readdirSync(path)
          .filter((name) => name.startsWith("libpod"))
          .map((name) => join(path, name)),
      );
      return [...ours, ...cgroups];
    },
    end() {
      const [name = "peer-a"] = runtimeNames;
      runCommand(podman.line(name, ["pod", "rm", "--all", "--force", "--time", "0"]), options);
      runCommand(podman.line(name, ["rm", "--all", "--force", "--time", "0"]), options);
      // What conmon leaves to be done when a container ends makes cgroups too.
      for (let tries = 0; tries < 500 && isUsed(folder); tries++) Bun.sleepSync(20);
      for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n").reverse()) {
        const point = line.split(" ")[4];
        if (point?.startsWith(folder)) runCommand(["umount", point]);
      }
      // Podman keeps the parent of its containers' cgroups, conmon's, and, in hierarchies that it does not limit, those
      // of pods; one that others use is not empty.
      for (const path of parents()) {
        const within = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
        for (const { name } of within) rmdirIfEmpty(join(path, name));
        rmdirIfEmpty(path);
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
  const archive = join(folder, "rootfs.tar");
  for (const line of [
    ["tar", "-C", imagePath("busybox-rootfs"), "-cf", archive, "."],
    podman.line("peer-a", ["import", "--quiet", archive, "box"]),
  ]) {
    const { code, err } = runCommand(line, options);
    if (code !== 0) throw new Error(`${line.join(" ")}: ${err}`);
  }
  return podman;
}

/** Whether a process has that folder among its arguments. */
function isUsed(folder: string): boolean {
  return readdirSync("/proc").some((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(folder);
    } catch {
      return false;
    }
  });
}

/** The cgroups in which podman makes those of containers. */
function parents(): string[] {
  return readdirSync("/sys/fs/cgroup")
    .map((hierarchy) => join("/sys/fs/cgroup", hierarchy, "libpod_parent"))
    .filter((path) => existsSync(path));
}

function rmdirIfEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // Somebody else's.
  }
}
