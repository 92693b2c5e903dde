/**
 * What this host, or virtual machine, has of what the conformance suite of cgroup drivers can show. A test of what is not
 * there is skipped, and counted as such: where everything is to be shown, a skipped test is a failure.
 */
import { existsSync, readFileSync } from "node:fs";
import { listNumbers } from "../../../drivers/cgroup-v1/cpuset.ts";
import type { HostCgroup } from "../../../src/driver.ts";

export interface Has {
  /** 2: no v1 controller is mounted. */
  readonly version: 1 | 2;
  /** Whether cgroup v1 has this controller here. */
  v1(controller: string): boolean;
  /** Whether there is this controller in either version. */
  controller(name: string): boolean;
  readonly unified: boolean;
  /** Numbers of the CPUs and memory nodes that are online. */
  readonly cpus: readonly number[];
  readonly nodes: readonly number[];
  /** A device or file is in use as swap. */
  readonly swap: boolean;
  /** memory.swap can be limited. */
  readonly swapLimit: boolean;
  /** Free pages of 2 MiB. */
  readonly hugePages: number;
  /** A v1 controller gives realtime runtime away. */
  readonly realtime: boolean;
  readonly kernelTcp: boolean;
  readonly bfq: boolean;
  readonly pressure: boolean;
  /** What can count the packets of a cgroup: iptables, or tc with its filter for cgroups. */
  readonly packetCounter: "iptables" | "tc" | undefined;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

export function lookAtHost({ controllers, unified }: HostCgroup): Has {
  const own = textOf(`${unified}/cgroup.controllers`).trim().split(" ");
  const v1 = (name: string): boolean => controllers[name] !== undefined;
  return {
    version: Object.keys(controllers).length > 0 ? 1 : 2,
    v1,
    controller: (name) => v1(name) || own.includes(name === "blkio" ? "io" : name),
    unified: unified !== undefined,
    cpus: listNumbers(textOf("/sys/devices/system/cpu/online")),
    nodes: listNumbers(textOf("/sys/devices/system/node/online")),
    swap: textOf("/proc/swaps").trim().split("\n").length > 1,
    swapLimit: !v1("memory") || existsSync(`${controllers.memory}/memory.memsw.limit_in_bytes`),
    hugePages: Number(textOf("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")),
    realtime: existsSync(`${controllers.cpu}/cpu.rt_runtime_us`),
    kernelTcp: existsSync(`${controllers.memory}/memory.kmem.tcp.limit_in_bytes`),
    bfq: textOf("/sys/block/loop0/queue/scheduler").includes("bfq"),
    pressure: textOf("/proc/pressure/cpu") !== "",
    packetCounter: packetCounter(),
  };
}

function packetCounter(): Has["packetCounter"] {
  if (!["unshare", "ip", "busybox"].every((program) => Bun.which(program) !== null)) return undefined;
  const modules = ["cls_cgroup", "sch_prio"].every((name) => existsSync(`/sys/module/${name}`));
  if (Bun.which("tc") !== null && modules) return "tc";
  return Bun.which("iptables") === null ? undefined : "iptables";
}
