// What is written back after an update that failed half-way, from the text that a file had.
import { expect, test } from "bun:test";
import { linesBack } from "../../../drivers/cgroup-common/journal.ts";
import { mergeResources } from "../../../src/runtime/update.ts";

test("a file with one value gets that value back", () => {
  expect(linesBack("memory.limit_in_bytes", "1024", "67108864\n")).toEqual(["67108864"]);
  expect(linesBack("cpu.max", "20000 100000", "max 50000\n")).toEqual(["max 50000"]);
  expect(linesBack("cpuset.cpus", "0", "\n")).toEqual(["\n"]);
});

test("of a file with a line for each device, only that device's line goes back", () => {
  const throttle = "8:0 1000\n8:16 2000\n";
  expect(linesBack("blkio.throttle.read_bps_device", "8:16 5", throttle)).toEqual(["8:16 2000"]);
  expect(linesBack("blkio.throttle.read_bps_device", "8:32 5", throttle)).toEqual(["8:32 0"]);
  const max = "8:0 rbps=1000 wbps=max riops=max wiops=max\n";
  expect(linesBack("io.max", "8:0 wbps=5", max)).toEqual([max.trim()]);
  expect(linesBack("io.max", "8:16 wbps=5", max)).toEqual(["8:16 rbps=max wbps=max riops=max wiops=max"]);
  expect(linesBack("io.bfq.weight", "8:0 50", "default 100\n")).toEqual(["8:0 default"]);
  expect(linesBack("rdma.max", "mlx5_0 hca_handle=2", "")).toEqual(["mlx5_0 hca_handle=max hca_object=max"]);
  expect(linesBack("net_prio.ifpriomap", "eth0 5", "lo 0\neth0 3\n")).toEqual(["eth0 3"]);
});

test("a file that names what a bare number sets gets the number back", () => {
  expect(linesBack("memory.oom_control", "1", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")).toEqual([
    "0",
  ]);
  expect(linesBack("io.bfq.weight", "500", "default 100\n")).toEqual(["100"]);
});

test("resources merge property by property, lists as a whole", () => {
  const stored = {
    memory: { limit: 100, swap: 200 },
    pids: { limit: 5 },
    hugepageLimits: [{ pageSize: "2MB", limit: 1 }],
  };
  const asked = { memory: { limit: 50, swap: undefined }, cpu: { shares: 7 }, hugepageLimits: [] };
  expect(mergeResources(stored, asked)).toEqual({
    memory: { limit: 50, swap: 200 },
    pids: { limit: 5 },
    cpu: { shares: 7 },
    hugepageLimits: [],
  });
});
