/**
 * The flags of limits that can be changed later: of `run`, `plan` and `update`. Words only: what they mean is in
 * engine/config/.
 */
import type { FlagDef } from "./argv.ts";
import { list, text } from "./flag.ts";

export const LIMIT_ARGS = {
  memory: text("Memory limit: 512k, 64m, 1.5g", "SIZE", "m"),
  "memory-swap": text("Limit of memory and swap together; -1: no limit on swap", "SIZE"),
  "memory-reservation": text("Memory that is left to the container where the host's runs short", "SIZE"),
  "memory-swappiness": text(
    "0 to 100: how readily memory is swapped (cgroup v1); -1: as the host's",
    "NUMBER",
  ),
  cpus: text("Number of CPUs: 0.5", "NUMBER"),
  "cpu-shares": text("Weight where CPUs are short: 2 to 262144, 1024 if not given", "NUMBER", "c"),
  "cpu-quota": text("Microseconds of CPU time in each --cpu-period; -1: no limit", "NUMBER"),
  "cpu-period": text("Microseconds that --cpu-quota is for: 1000 to 1000000", "NUMBER"),
  "cpu-rt-period": text("Microseconds that --cpu-rt-runtime is for", "NUMBER"),
  "cpu-rt-runtime": text("Microseconds for realtime programs in each --cpu-rt-period", "NUMBER"),
  "cpuset-cpus": text("CPUs to run on: 0-2,5", "LIST"),
  "cpuset-mems": text("Memory nodes to use: 0,1", "LIST"),
  "pids-limit": text("Most processes and threads; -1: no limit", "NUMBER"),
  "blkio-weight": text("Weight where disks are short: 10 to 1000", "NUMBER"),
  "blkio-weight-device": list("The same for one disk: /dev/sda:500", "DEVICE:NUMBER"),
  "device-read-bps": list("Most bytes a second to read: /dev/sda:1mb", "DEVICE:SIZE"),
  "device-write-bps": list("Most bytes a second to write: /dev/sda:1mb", "DEVICE:SIZE"),
  "device-read-iops": list("Most reads a second: /dev/sda:1000", "DEVICE:NUMBER"),
  "device-write-iops": list("Most writes a second: /dev/sda:1000", "DEVICE:NUMBER"),
} as const satisfies Record<string, FlagDef>;
