/**
 * Section of the conformance suite of cgroup drivers: what no host at hand has (RDMA devices, kernels that
 * limit their own memory alone), on a fake tree: a plain directory with files as the kernel has them. It shows what the driver writes, and nothing of what a kernel then does.
 */
import { expect } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { Host } from "../../../src/driver.ts";
import type { LinuxResources } from "../../../src/spec/runtime/resources.ts";
import { type Bench, where } from "./bench.ts";

export function fakeTreeSection(bench: Bench): void {
  const { subject, driver, has } = bench;

  /** The host with nothing but a fake tree that has this one controller, and the container `/c` in it. */
  function fakeHost(controller: string, file: string): { host: Host; read: () => string } {
    const root = `${bench.directory}/fake-${controller}`;
    mkdirSync(`${root}/c`, { recursive: true });
    for (const level of [root, `${root}/c`]) {
      writeFileSync(`${level}/cgroup.controllers`, `${controller}\n`);
      writeFileSync(`${level}/cgroup.subtree_control`, level === root ? `${controller}\n` : "");
      writeFileSync(`${level}/cgroup.procs`, "");
      writeFileSync(`${level}/${file}`, "");
      writeFileSync(`${level}/tasks`, "");
    }
    const cgroup =
      has.version === 1
        ? ({ mode: "legacy", unified: undefined, controllers: { [controller]: root }, own: {} } as const)
        : ({ mode: "unified", unified: root, controllers: {}, own: { "": "/" } } as const);
    return { host: { ...subject.host, cgroup }, read: () => readFileSync(`${root}/c/${file}`, "utf8") };
  }

  const devices = [{ allow: true }];

  where(bench.anyPath)("rdma: what is written, on a fake tree", () => {
    const { host, read } = fakeHost("rdma", "rdma.max");
    const limits = { mlx5_1: { hcaHandles: 3, hcaObjects: 10000 } };
    const part = bench.plan({ devices, rdma: limits }, "/c", host);
    bench.act(part.before);
    expect(read()).toBe("mlx5_1 hca_handle=3 hca_object=10000");
    driver.update(part.paths, { rdma: { mlx5_1: { hcaObjects: 7 } } });
    expect(read()).toStartWith("mlx5_1 hca_object=7");
  });

  where(bench.anyPath && has.version === 1)(
    "memory.kernel: what a kernel before 5.16 gets, on a fake tree",
    () => {
      const { host, read } = fakeHost("memory", "memory.kmem.limit_in_bytes");
      const resources: LinuxResources = { devices, memory: { kernel: 1 << 26 } };
      const part = bench.plan(resources, "/c", { ...host, kernelVersion: [5, 15] });
      expect(part.warnings).toEqual([]);
      bench.act(part.before);
      expect(read()).toBe(String(1 << 26));
    },
  );
}
