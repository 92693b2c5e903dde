/**
 * Changing the weight that a cgroup has on all block devices, on either version, without losing those of single ones.
 * Not here: which weights there are (cgroup-v1/blkio.ts, cgroup-v2/io.ts).
 */
import { readTextIfAny } from "../../src/kernel/file.ts";
import type { Journal, Setting } from "./setting.ts";

/**
 * Writes the setting, which BFQ takes for the end of all weights of single devices (block/bfq-cgroup.c,
 * bfq_io_set_weight_legacy()), and these again; `list` is the file that shows them. They are written before it too, so
 * that what was written is put back in an order that ends with them.
 */
export function setWeight(directory: string, setting: Setting, list: string, journal: Journal): void {
  const lines = (readTextIfAny(`${directory}/${list}`) ?? "").split("\n");
  const kept = lines
    .filter((line) => /^\d+:\d+ \d+$/.test(line))
    .map((data) => ({ field: setting.field, file: list, data }));
  for (const one of [...kept, setting, ...kept]) journal.set(directory, one);
}
