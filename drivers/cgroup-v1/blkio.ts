/**
 * The v1 blkio controller: `linux.resources.blockIO`. Source: Documentation/admin-guide/cgroup-v1/blkio-controller.rst,
 * and Documentation/block/bfq-iosched.rst for the files that the BFQ scheduler brings.
 */
import type { CgroupStats } from "../../src/driver.ts";
import { readTextIfAny } from "../../src/kernel/file.ts";
import { counter, omitEmpty } from "../cgroup-common/read.ts";
import type { Controller, Setting } from "../cgroup-common/setting.ts";
import { setWeight } from "../cgroup-common/weight.ts";

/** Field of the spec to file of the kernel. */
const THROTTLES = [
  ["throttleReadBpsDevice", "blkio.throttle.read_bps_device"],
  ["throttleWriteBpsDevice", "blkio.throttle.write_bps_device"],
  ["throttleReadIOPSDevice", "blkio.throttle.read_iops_device"],
  ["throttleWriteIOPSDevice", "blkio.throttle.write_iops_device"],
] as const;

/** The kernel keeps operations a second in 32 bits, and would silently cut off what does not fit (tg_set_conf()). */
const MOST_OPERATIONS = 0xffff_ffff;

const NO_WEIGHT = {
  ENOENT: "weights need the BFQ scheduler: load the module bfq",
  EOPNOTSUPP: "the device does not use the BFQ scheduler",
  ERANGE: "the kernel takes weights from 1 to 1000",
};
const OWN_WEIGHT = "blockIO.weight";
const NO_LEAF = { ENOENT: "leaf weights went with the CFQ scheduler, in kernel 5.0" };
const NO_DEVICE = { ENODEV: "there is no such block device, or it is a partition" };

export const blkio: Controller = {
  name: "blkio",
  settings({ blockIO }) {
    if (blockIO === undefined) return [];
    const settings: Setting[] = [];
    const weight = (field: string, file: string, data: string): void => {
      const bfq = { file: file.replace("blkio.", "blkio.bfq."), data };
      settings.push({
        field,
        file,
        data,
        instead: bfq,
        hints: { ...NO_WEIGHT, ...NO_DEVICE },
      });
    };
    const leaf = (field: string, file: string, data: string): void => {
      settings.push({ field: `blockIO.${field}`, file, data, hints: NO_LEAF });
    };
    if (blockIO.weight) weight(OWN_WEIGHT, "blkio.weight", String(blockIO.weight));
    if (blockIO.leafWeight) leaf("leafWeight", "blkio.leaf_weight", String(blockIO.leafWeight));
    for (const [index, device] of (blockIO.weightDevice ?? []).entries()) {
      const [field, name] = [`weightDevice[${index}]`, `${device.major}:${device.minor}`];
      if (device.weight) weight(`blockIO.${field}.weight`, "blkio.weight_device", `${name} ${device.weight}`);
      if (device.leafWeight)
        leaf(`${field}.leafWeight`, "blkio.leaf_weight_device", `${name} ${device.leafWeight}`);
    }
    for (const [field, file] of THROTTLES) {
      for (const [index, { major, minor, rate }] of (blockIO[field] ?? []).entries()) {
        const most = file.endsWith("_iops_device") && rate > MOST_OPERATIONS ? MOST_OPERATIONS : rate;
        const data = `${major}:${minor} ${most}`;
        settings.push({ field: `blockIO.${field}[${index}]`, file, data, hints: NO_DEVICE });
      }
    }
    return settings;
  },
  update(directory, resources, journal) {
    for (const setting of blkio.settings(resources)) {
      if (setting.field === OWN_WEIGHT) setWeight(directory, setting, "blkio.bfq.weight_device", journal);
      else journal.set(directory, setting);
    }
  },
};

/** Name in the counters, and the files of which the first that exists is read. */
const COUNTERS = [
  [
    "ioServiceBytesRecursive",
    [
      "blkio.bfq.io_service_bytes_recursive",
      "blkio.throttle.io_service_bytes_recursive",
      "blkio.throttle.io_service_bytes",
    ],
  ],
  [
    "ioServicedRecursive",
    ["blkio.bfq.io_serviced_recursive", "blkio.throttle.io_serviced_recursive", "blkio.throttle.io_serviced"],
  ],
  ["ioQueueRecursive", ["blkio.bfq.io_queued_recursive"]],
  ["ioServiceTimeRecursive", ["blkio.bfq.io_service_time_recursive"]],
  ["ioWaitTimeRecursive", ["blkio.bfq.io_wait_time_recursive"]],
  ["ioMergedRecursive", ["blkio.bfq.io_merged_recursive"]],
  ["ioTimeRecursive", ["blkio.bfq.time_recursive"]],
  ["sectorsRecursive", ["blkio.bfq.sectors_recursive"]],
] as const;

/** `blkio` of the counters. BFQ's files stay empty unless a device uses that scheduler: then the throttle's count. */
export function blkioStats(directory: string): CgroupStats {
  const stats: Record<string, unknown> = {};
  for (const [name, files] of COUNTERS) {
    for (const file of files) {
      const entries = readEntries(readTextIfAny(`${directory}/${file}`) ?? "");
      stats[name] = entries;
      if (entries.length > 0) break;
    }
  }
  return omitEmpty(stats);
}

/** Lines such as `8:0 Read 4096` or `8:0 17`; the last line, a total over all devices, is left out. */
function readEntries(text: string): Record<string, unknown>[] {
  const entries: Record<string, unknown>[] = [];
  for (const line of text.split("\n")) {
    const [device, second, third] = line.split(" ");
    const [major, minor] = (device ?? "").split(":");
    if (minor === undefined || second === undefined) continue;
    const op = third === undefined ? undefined : second;
    entries.push(
      omitEmpty({ major: counter(major), minor: counter(minor), op, value: counter(third ?? second) }),
    );
  }
  return entries;
}
