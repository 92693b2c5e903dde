// Weights of block devices when the one for all of them changes.

import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Controller } from "../../../drivers/cgroup-common/setting.ts";
import { blkio } from "../../../drivers/cgroup-v1/blkio.ts";
import { io } from "../../../drivers/cgroup-v2/io.ts";

/** What an update writes where `list` shows the weights of devices. */
function writes(controller: Controller, list: string, blockIO: object): string[] {
  const directory = mkdtempSync(join(tmpdir(), "ctr-bun-weight-"));
  try {
    writeFileSync(join(directory, list), "default 500\n8:0 300\n8:16 50\n");
    const written: string[] = [];
    const note = (_: string, { file, data }: { file: string; data: string }): number =>
      written.push(`${file} ${data}`);
    controller.update?.(directory, { blockIO }, { attempt: note, set: note });
    return written;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test.each([
  ["v1", blkio, "blkio.bfq.weight_device", "blkio.weight", "blkio.weight_device"],
  ["v2", io, "io.bfq.weight", "io.bfq.weight", "io.bfq.weight"],
] as const)("those of single devices are kept on %s", (_, controller, list, file, device) => {
  const kept = [`${list} 8:0 300`, `${list} 8:16 50`];
  expect(writes(controller, list, { weight: 100 })).toEqual([...kept, `${file} 100`, ...kept]);
  expect(
    writes(controller, list, { weight: 100, weightDevice: [{ major: 8, minor: 0, weight: 70 }] }),
  ).toEqual([...kept, `${file} 100`, ...kept, `${device} 8:0 70`]);
  expect(writes(controller, list, { weightDevice: [{ major: 8, minor: 0, weight: 70 }] })).toEqual([
    `${device} 8:0 70`,
  ]);
});
