/** Section of the conformance suite of cgroup drivers: `linux.resources.blockIO`, on a loop device of its own. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import type { LinuxBlockIo, LinuxResources } from "../../../src/spec/runtime/resources.ts";
import { type Bench, type Container, errorOf } from "./bench.ts";

const KIB = 1024;
const SIZE = 64 << 20;
/** Seconds that are looked at, and that the kernel may be late by. */
const [LOOK, LATE] = [0.25, 1];

const V1_FILES = {
  throttleReadBpsDevice: "blkio.throttle.read_bps_device",
  throttleWriteBpsDevice: "blkio.throttle.write_bps_device",
  throttleReadIOPSDevice: "blkio.throttle.read_iops_device",
  throttleWriteIOPSDevice: "blkio.throttle.write_iops_device",
} as const;

interface Disk {
  readonly path: string;
  readonly major: number;
  readonly minor: number;
}

/** A loop device over a sparse file. Another test may take the same free one: then the next. */
function makeDisk(file: string): Disk {
  writeFileSync(file, "");
  truncateSync(file, SIZE);
  for (let tries = 0; tries < 20; tries++) {
    const path = Bun.spawnSync(["losetup", "-f"]).stdout.toString().trim();
    if (Bun.spawnSync(["losetup", path, file]).exitCode !== 0) continue;
    const [major = 0, minor = 0] = readFileSync(`/sys/class/block/${path.slice(5)}/dev`, "utf8")
      .split(":")
      .map(Number);
    return { path, major, minor };
  }
  throw new Error("there is no free loop device");
}

/** What went to and from the disk, for the cgroup. v1 counts twice: where it throttles, and where BFQ schedules. */
function transferred(
  { paths }: Container,
  { major, minor }: Disk,
  by: "throttle" | "bfq" = "throttle",
): { bytes: number; operations: number } {
  const key = `${major}:${minor}`;
  const sum = (file: string, pattern: RegExp): number =>
    readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line.startsWith(`${key} `))
      .flatMap((line) => [...line.matchAll(pattern)])
      .reduce((total, [, value]) => total + Number(value), 0);
  if (paths.blkio === undefined) {
    const file = `${paths.unified}/io.stat`;
    return { bytes: sum(file, /[rw]bytes=(\d+)/g), operations: sum(file, /[rw]ios=(\d+)/g) };
  }
  const file = `${paths.blkio}/blkio.${by}`;
  return {
    bytes: sum(`${file}.io_service_bytes`, /(?:Read|Write) (\d+)/g),
    operations: sum(`${file}.io_serviced`, /(?:Read|Write) (\d+)/g),
  };
}

export function blockIoSection(bench: Bench): void {
  const { create, run, until, has, driver, directory } = bench;
  let disk: Disk;
  const readDisk = (): string =>
    `while :; do dd if=${disk.path} of=/dev/null bs=64k iflag=direct 2>/dev/null; done`;
  const writeDisk = (): string =>
    `while :; do dd if=/dev/zero of=${disk.path} bs=64k count=512 oflag=direct 2>/dev/null; done`;
  const resources = (blockIO: LinuxBlockIo): LinuxResources => ({ blockIO, devices: [{ allow: true }] });

  describe.skipIf(!has.controller("blkio"))("blockIO", () => {
    beforeAll(() => {
      disk = makeDisk(`${directory}/disk`);
    });
    afterAll(() => {
      Bun.spawnSync(["losetup", "-d", disk.path]);
    });

    const throttles = [
      ["throttleReadBpsDevice", readDisk, "bytes", 256 * KIB, 64 * KIB],
      ["throttleWriteBpsDevice", writeDisk, "bytes", 256 * KIB, 64 * KIB],
      ["throttleReadIOPSDevice", readDisk, "operations", 10, 1],
      ["throttleWriteIOPSDevice", writeDisk, "operations", 10, 1],
    ] as const;
    for (const [field, work, counter, rate, one] of throttles) {
      test(`${field}: who wants more waits, and an update lets it go on`, () => {
        const { major, minor } = disk;
        const container = run(work(), resources({ [field]: [{ major, minor, rate }] }));
        const started = performance.now();
        const done = (): number => transferred(container, disk)[counter];
        until("something was transferred", () => done() > 0);
        until("time goes by", () => performance.now() - started > LOOK * 1000);
        const [amount, seconds] = [done(), (performance.now() - started) / 1000];
        expect(amount).toBeLessThanOrEqual(rate * (seconds + LATE) + one);
        // Old kernels count on v1 only where there is a limit: first a high one, then none.
        container.update({ blockIO: { [field]: [{ major, minor, rate: rate * 10_000 }] } });
        // More than the limit would allow for in any time that this takes.
        until("it is fast again", () => done() > amount + rate * 25);
        container.update({ blockIO: { [field]: [{ major, minor, rate: 0 }] } });
        expect(container.read("blkio", V1_FILES[field], "io.max")).not.toContain(`${major}:${minor}`);
      });
    }

    describe.skipIf(!has.bfq)("with BFQ", () => {
      const scheduler = (name: string): void =>
        writeFileSync(`/sys/block/${disk.path.slice(5)}/queue/scheduler`, name);
      beforeAll(() => scheduler("bfq"));
      afterAll(() => scheduler("none"));

      test("weight, and weightDevice before it: two busy cgroups share the device by them", () => {
        const { major, minor } = disk;
        const light = [{ weight: 10 }, { weight: 1000, weightDevice: [{ major, minor, weight: 10 }] }];
        for (const other of light) {
          const twice = `(${readDisk()}) & ${readDisk()}`;
          const pair = [{ weight: 1000 }, other].map((blockIO) => run(twice, resources(blockIO)));
          // Whether they have to wait for the device, and not for a CPU, is different from one moment to the next.
          until("the heavy one gets more", () => {
            const [heavy = 0, rest = 0] = pair.map((container) => transferred(container, disk, "bfq").bytes);
            return heavy + rest > 32 * KIB * KIB && heavy > 1.5 * rest;
          });
          for (const { paths } of pair) driver.killAll(paths, 9);
        }
      });

      test("an update changes them", () => {
        const { major, minor } = disk;
        const container = create(resources({ weight: 100 }));
        container.update({ blockIO: { weight: 300, weightDevice: [{ major, minor, weight: 200 }] } });
        const shown = `${container.read("blkio", "blkio.bfq.weight", "io.bfq.weight")} ${container.read("blkio", "blkio.bfq.weight_device", "io.bfq.weight")}`;
        expect(shown).toContain("300");
        expect(shown).toContain(`${major}:${minor} 200`);
      });
    });

    if (has.v1("blkio")) {
      test("leafWeight is an error with the reason: no kernel since 5.0 has it", () => {
        const error = errorOf(() => create({ blockIO: { leafWeight: 100 } }));
        expect([error.field, error.hint]).toEqual([
          "linux.resources.blockIO.leafWeight",
          "leaf weights went with the CFQ scheduler, in kernel 5.0",
        ]);
      });
    }

    test("a device that is not there is an error that names it, and nothing is left", () => {
      const error = errorOf(() =>
        create(resources({ throttleReadBpsDevice: [{ major: 250, minor: 99, rate: 1 }] })),
      );
      expect(error.field).toBe("linux.resources.blockIO.throttleReadBpsDevice[0]");
      expect(error.hint).toContain("no such block device");
    });

    test("nothing is set by an empty one, by weights of 0, and by empty lists", () => {
      const nothing = { weight: 0, leafWeight: 0, weightDevice: [], throttleReadBpsDevice: [] };
      for (const blockIO of [{}, nothing]) {
        const container = create({ blockIO });
        expect(container.part.warnings).toEqual([]);
        container.update({ blockIO });
        expect(container.read("blkio", "blkio.throttle.read_bps_device", "io.max")).toBe("");
      }
    });
  });
}
