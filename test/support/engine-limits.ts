// Limits as both Docker's and Podman's run take them, and what is then in the files of a container's cgroups.

import type { LoopDevice } from "./loop-device.ts";

/** Flags of run. `group`: the cgroup above the container's. */
export function limitFlags({ path }: LoopDevice, group: string): string[] {
  return [
    ...["--memory", "64m", "--memory-swap", "128m", "--memory-reservation", "32m"],
    ...["--memory-swappiness", "10", "--oom-kill-disable"],
    ...["--cpu-period", "50000", "--cpu-quota", "25000", "--cpu-shares", "500"],
    ...["--cpuset-cpus", "0", "--cpuset-mems", "0", "--pids-limit", "33"],
    ...["--device-read-bps", `${path}:1mb`, "--device-write-bps", `${path}:2mb`],
    ...["--device-read-iops", `${path}:100`, "--device-write-iops", `${path}:200`],
    ...["--device-cgroup-rule", "c 10:229 r", "--cgroup-parent", `/${group}`],
  ];
}

/** Some of the files, with what they hold. */
export function limitedFiles({ major, minor }: LoopDevice): string[] {
  return [
    "memory/memory.memsw.limit_in_bytes 134217728",
    "memory/memory.swappiness 10",
    "cpu/cpu.cfs_quota_us 25000",
    `blkio/blkio.throttle.write_iops_device ${major}:${minor} 200`,
    "pids/pids.max 33",
  ];
}
