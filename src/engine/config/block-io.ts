/**
 * Flags that divide disks between containers: weights and rates, for all disks or for `PATH:VALUE`.
 * Not here: which device a path is (engine/sources.ts).
 */
import { fail } from "../../error.ts";
import type { HostLimits } from "../record.ts";
import { cleanPath } from "./command.ts";
import { parseSize } from "./size.ts";

/** As typed. */
export interface BlockIoFlags {
  readonly "blkio-weight"?: string | undefined;
  readonly "blkio-weight-device"?: readonly string[];
  readonly "device-read-bps"?: readonly string[];
  readonly "device-write-bps"?: readonly string[];
  readonly "device-read-iops"?: readonly string[];
  readonly "device-write-iops"?: readonly string[];
}

/** As Docker, the kernel's BFQ scheduler and the specification have them. */
const [LEAST_WEIGHT, MOST_WEIGHT] = [10, 1000];

/** What of them was asked for; undefined for what was not. */
export function parseBlockIo(flags: BlockIoFlags): HostLimits {
  const weight = flags["blkio-weight"];
  const rates = (flag: RateFlag): { path: string; rate: number }[] | undefined =>
    listOf(flags[flag], (text) => rateOf(text, flag));
  return {
    blkioWeight: weight === undefined || /^0+$/.test(weight) ? undefined : weightOf(weight, "blkio-weight"),
    blkioWeightDevice: listOf(flags["blkio-weight-device"], (text) => {
      const [path, value] = pathAndValue(text, "blkio-weight-device", "WEIGHT");
      return { path, weight: weightOf(value, "blkio-weight-device") };
    }),
    blkioDeviceReadBps: rates("device-read-bps"),
    blkioDeviceWriteBps: rates("device-write-bps"),
    blkioDeviceReadIOps: rates("device-read-iops"),
    blkioDeviceWriteIOps: rates("device-write-iops"),
  };
}

type RateFlag = Exclude<keyof BlockIoFlags, `blkio-${string}`>;

/** Of several for one disk, the last counts. */
function listOf<T extends { readonly path: string }>(
  texts: readonly string[] | undefined,
  read: (text: string) => T,
): T[] | undefined {
  if (texts === undefined || texts.length === 0) return undefined;
  return [...new Map(texts.map(read).map((each) => [each.path, each])).values()];
}

/** 0 takes a limit away that was there. */
function rateOf(text: string, flag: RateFlag): { path: string; rate: number } {
  const [path, value] = pathAndValue(text, flag, flag.endsWith("bps") ? "BYTES" : "NUMBER");
  if (flag.endsWith("bps")) return { path, rate: parseSize(value, `--${flag}`) };
  const rate = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (Number.isSafeInteger(rate)) return { path, rate };
  throw bad(flag, `${JSON.stringify(value)} is not a number of operations a second`, "write /dev/sda:1000");
}

function pathAndValue(text: string, flag: string, what: string): [path: string, value: string] {
  const [, path, value] = /^(.+):([^:]*)$/.exec(text) ?? [];
  if (path !== undefined && value !== undefined && value !== "" && path.startsWith("/dev/"))
    return [cleanPath(path), value];
  throw bad(flag, `${JSON.stringify(text)} is not a device and a value`, `write /dev/sda:${what}`);
}

function weightOf(text: string, flag: string): number {
  const weight = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (weight >= LEAST_WEIGHT && weight <= MOST_WEIGHT) return weight;
  const message = `${JSON.stringify(text)} is not from ${LEAST_WEIGHT} to ${MOST_WEIGHT}`;
  throw bad(flag, message, "how it stands to the weights of other containers");
}

function bad(flag: string, message: string, hint: string) {
  return fail({ code: "INVALID_FLAG", field: `--${flag}`, message, hint });
}
