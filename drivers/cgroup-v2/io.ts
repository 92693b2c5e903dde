/**
 * The v2 io controller: `linux.resources.blockIO`. Source: Documentation/admin-guide/cgroup-v2.rst, "IO", and
 * Documentation/block/bfq-iosched.rst.
 */
import type { CgroupStats } from "../../src/driver.ts";
import { readTextIfAny } from "../../src/kernel/file.ts";
import { counter, omitEmpty, readPressure } from "../cgroup-common/read.ts";
import type { Controller, Setting } from "../cgroup-common/setting.ts";
import { blkioToIoWeight } from "../cgroup-common/values.ts";
import { setWeight } from "../cgroup-common/weight.ts";

/** Field of the spec to key of io.max. */
const THROTTLES = [
  ["throttleReadBpsDevice", "rbps"],
  ["throttleWriteBpsDevice", "wbps"],
  ["throttleReadIOPSDevice", "riops"],
  ["throttleWriteIOPSDevice", "wiops"],
] as const;

const OWN_WEIGHT = "blockIO.weight";
const BFQ = "io.bfq.weight";

const NO_DEVICE = { ENODEV: "there is no such block device, or it is a partition" };
const NO_WEIGHT = {
  ENOENT: "weights need the BFQ scheduler (module bfq) or CONFIG_BLK_CGROUP_IOCOST",
  EOPNOTSUPP: "the device has neither the BFQ scheduler nor io.cost switched on (io.cost.qos)",
};

export const io: Controller = {
  name: "io",
  settings({ blockIO }) {
    if (blockIO === undefined) return [];
    const settings: Setting[] = [];
    const weight = (field: string, device: string, value: number): void => {
      settings.push({
        field,
        file: BFQ,
        data: `${device}${value}`,
        instead: { file: "io.weight", data: `${device}${blkioToIoWeight(value)}` },
        hints: { ...NO_WEIGHT, ...NO_DEVICE },
      });
    };
    if (blockIO.weight) weight(OWN_WEIGHT, "", blockIO.weight);
    for (const [index, device] of (blockIO.weightDevice ?? []).entries()) {
      if (device.weight)
        weight(`blockIO.weightDevice[${index}]`, `${device.major}:${device.minor} `, device.weight);
    }
    for (const [field, key] of THROTTLES) {
      for (const [index, { major, minor, rate }] of (blockIO[field] ?? []).entries()) {
        // 0 takes a limit away on v1, and is refused on v2, which has a word for it.
        const data = `${major}:${minor} ${key}=${rate === 0 ? "max" : rate}`;
        settings.push({ field: `blockIO.${field}[${index}]`, file: "io.max", data, hints: NO_DEVICE });
      }
    }
    return settings;
  },
  warnings({ blockIO }) {
    const leaf = blockIO?.leafWeight || blockIO?.weightDevice?.some((device) => device.leafWeight);
    return leaf ? ["linux.resources.blockIO: leafWeight is ignored: cgroup v2 has nothing like it"] : [];
  },
  update(directory, resources, journal) {
    for (const setting of io.settings(resources)) {
      if (setting.field === OWN_WEIGHT) setWeight(directory, setting, BFQ, journal);
      else journal.set(directory, setting);
    }
  },
};

/** Key of io.stat to list and operation of v1's counters. */
const COUNTERS: Readonly<Record<string, readonly [list: "bytes" | "operations", op: string]>> = {
  rbytes: ["bytes", "Read"],
  wbytes: ["bytes", "Write"],
  rios: ["operations", "Read"],
  wios: ["operations", "Write"],
};

/** `blkio` of the counters. */
export function ioStats(directory: string): CgroupStats {
  const lists: Record<"bytes" | "operations", unknown[]> = { bytes: [], operations: [] };
  for (const line of (readTextIfAny(`${directory}/io.stat`) ?? "").split("\n")) {
    const [device, ...pairs] = line.split(" ");
    const [major, minor] = (device ?? "").split(":");
    if (minor === undefined) continue;
    for (const pair of pairs) {
      const [key, value] = pair.split("=");
      const [list, op] = COUNTERS[key ?? ""] ?? [];
      if (list === undefined) continue;
      lists[list].push(
        omitEmpty({ major: counter(major), minor: counter(minor), op, value: counter(value) }),
      );
    }
  }
  return omitEmpty({
    ioServiceBytesRecursive: lists.bytes,
    ioServicedRecursive: lists.operations,
    psi: readPressure(directory, "io.pressure"),
  });
}
