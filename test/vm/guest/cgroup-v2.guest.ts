/**
 * The v2 driver on a host with a cgroup2 tree alone, as root: what the kernel then does, not what the files say.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { cgroupV2Driver as driver } from "../../../drivers/cgroup-v2/driver.ts";
import type { CgroupPart, Host } from "../../../src/driver.ts";
import { POLLIN } from "../../../src/kernel/constants.ts";
import { close } from "../../../src/kernel/file.ts";
import { poll } from "../../../src/kernel/poll.ts";
import { probeCgroups } from "../../../src/runtime/host-cgroup.ts";
import type { LinuxResources } from "../../../src/spec/runtime/resources.ts";
import { apply, unified } from "../../unit/cgroup/fixtures.ts";

const host: Host = { ...unified, cgroup: probeCgroups() };
const runs = process.getuid?.() === 0 && driver.probe(host).ok;
const made: CgroupPart[] = [];
let number = 0;

function create(resources: LinuxResources | undefined, cgroupsPath?: string): CgroupPart {
  const id = `test-${process.pid}-${number++}`;
  const part = driver.plan({ id, cgroupsPath, resources, ownNamespace: true }, host);
  made.push(part);
  for (const fd of apply(driver, part.before).values()) close(fd);
  return part;
}

function directory(part: CgroupPart): string {
  return part.paths.unified ?? "";
}

function read(part: CgroupPart, file: string): string {
  return readFileSync(`${directory(part)}/${file}`, "utf8").trim();
}

function run(part: CgroupPart, command: string): Bun.Subprocess<"ignore", "pipe", "pipe"> {
  const script = `echo 0 > ${directory(part)}/cgroup.procs && ${command}`;
  return Bun.spawn(["sh", "-c", script], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    if (tries > 2000) throw new Error("it did not come to that");
    await Bun.sleep(2);
  }
}

afterEach(() => {
  for (const part of made.splice(0)) {
    driver.killAll(part.paths, 9);
    driver.remove(part.paths);
    expect(existsSync(directory(part))).toBe(false);
  }
});

describe.skipIf(!runs)("cgroup v2", () => {
  test("enables every controller down to the cgroup", () => {
    const part = create(undefined);
    const available = readFileSync(`${host.cgroup.unified}/cgroup.controllers`, "utf8").trim();
    expect(read(part, "cgroup.controllers")).toBe(available);
  });

  test("writes limits that the kernel shows", () => {
    const part = create({
      memory: { limit: 64 << 20, swap: 128 << 20, reservation: 32 << 20 },
      cpu: { shares: 512, period: 50_000, quota: 25_000, burst: 10_000, cpus: "0" },
      pids: { limit: 7 },
      unified: { "memory.high": "50331648", "cgroup.max.depth": "3" },
    });
    expect(read(part, "memory.max")).toBe(String(64 << 20));
    expect(read(part, "memory.low")).toBe(String(32 << 20));
    expect(read(part, "memory.high")).toBe("50331648");
    expect(read(part, "cpu.weight")).toBe("59");
    expect(read(part, "cpu.max")).toBe("25000 50000");
    expect(read(part, "cpuset.cpus")).toBe("0");
    expect(read(part, "pids.max")).toBe("7");
    expect(read(part, "cgroup.max.depth")).toBe("3");
  });

  test("kills for memory, and counts it", async () => {
    const part = create({ memory: { limit: 16 << 20, swap: 16 << 20 } });
    const child = run(part, "head -c 200000000 /dev/zero | tail -c 200000000");
    child.stdout.cancel();
    await child.exited;
    expect(driver.oomKills(part.paths)).toBeGreaterThan(0);
  });

  test("starts a process below a memory limit of 512 KiB", async () => {
    const part = create({ memory: { limit: 512 << 10 } });
    expect(await run(part, "exec true").exited).toBe(0);
  });

  test("holds a process to its pids limit", async () => {
    const part = create({ pids: { limit: 1 } });
    const child = run(part, "/bin/true; exec /bin/true");
    expect((await new Response(child.stderr).text()).toLowerCase()).toContain("fork");
  });

  test("denies a device that is not allowed, and allows the defaults", async () => {
    const part = create({ devices: [{ allow: false, access: "rwm" }] });
    const child = run(part, ": < /dev/null && ! : < /dev/kmsg");
    await child.exited;
    expect(await new Response(child.stderr).text()).toContain("not permitted");
    driver.update(part.paths, { devices: [{ allow: true }] });
    expect(await run(part, ": < /dev/kmsg").exited).toBe(0);
  });

  test("updates limits of a running container", () => {
    const part = create({ cpu: { period: 50_000, quota: 20_000 } });
    driver.update(part.paths, { cpu: { burst: 30_000, quota: 40_000, period: 50_000 } });
    expect(read(part, "cpu.max")).toBe("40000 50000");
    driver.update(part.paths, { cpu: { idle: 1 } });
    driver.update(part.paths, { cpu: { idle: 0, shares: 2048 }, pids: { limit: -1 } });
    expect(read(part, "cpu.weight")).toBe("174");
    expect(read(part, "pids.max")).toBe("max");
  });

  test("counts swap out of memory and swap together, before and after memory changes", () => {
    const part = create({ memory: { limit: 64 << 20, swap: 128 << 20 } });
    for (const [limit, swap] of [
      [256, 512],
      [16, 24],
      [100, 100],
    ] as const) {
      driver.update(part.paths, { memory: { limit: limit << 20, swap: swap << 20 } });
      expect(read(part, "memory.max")).toBe(String(limit << 20));
      expect(read(part, "memory.swap.max")).toBe(String((swap - limit) << 20));
    }
    driver.update(part.paths, { memory: { limit: -1, swap: -1 } });
    expect([read(part, "memory.max"), read(part, "memory.swap.max")]).toEqual(["max", "max"]);
    expect(() => driver.update(part.paths, { memory: { limit: 64 << 20, swap: 32 << 20 } })).toThrow(
      "less than memory.limit",
    );
    expect(read(part, "memory.max")).toBe("max");
  });

  test("puts everything back where the kernel refuses a part of an update", () => {
    const part = create({ cpu: { shares: 512, quota: 20_000, period: 50_000 }, memory: { limit: 64 << 20 } });
    const files = [
      "cpu.weight",
      "cpu.max",
      "cpu.max.burst",
      "cpu.idle",
      "cpuset.cpus",
      "memory.max",
      "pids.max",
    ];
    const before = files.map((file) => read(part, file));
    const cpu = { shares: 300, quota: 30_000, period: 100_000, burst: 10_000, idle: 1 };
    const attempt = (more: LinuxResources) => () =>
      driver.update(part.paths, { cpu, pids: { limit: 5 }, memory: { limit: 1 << 30 }, ...more });
    expect(attempt({ cpu: { ...cpu, cpus: "4095" } })).toThrow("cpuset.cpus");
    expect(attempt({ unified: { "memory.high": "nonsense" } })).toThrow("memory.high");
    expect(files.map((file) => read(part, file))).toEqual(before);
  });

  test("tells of processes that are killed for memory, and of the limit that was met", async () => {
    const part = create({ memory: { limit: 16 << 20, swap: 16 << 20 } });
    const watch = driver.watchEvents(part.paths);
    const ready = (wait: number): boolean =>
      poll(
        watch.fds.map((fd) => ({ fd, events: POLLIN })),
        wait,
      ).some((events) => events === POLLIN);
    expect(ready(0)).toBe(false);
    const child = run(part, "head -c 200000000 /dev/zero | tail -c 200000000");
    child.stdout.cancel();
    expect(ready(60_000)).toBe(true);
    await child.exited;
    let met = 0;
    let kills = 0;
    await until(() => {
      for (const { type, data } of watch.take() ?? []) {
        if (type === "oom") kills++;
        if (type === "memory.events") met += Number(data?.max ?? 0);
      }
      return kills > 0 && kills === driver.oomKills(part.paths);
    });
    expect(met).toBeGreaterThan(0);
    driver.remove(part.paths);
    expect(watch.take()).toBeUndefined();
    watch.close();
  });

  test("tells of forks that the pids limit refused, and of being frozen and thawed", async () => {
    const part = create({ pids: { limit: 1 } });
    const watch = driver.watchEvents(part.paths);
    const told: Record<string, unknown>[] = [];
    const comes = (of: string, key: string, value?: number): Promise<void> =>
      until(() => {
        for (const { type, data } of watch.take() ?? []) told.push({ type, ...data });
        return told.some(
          (event) => event.type === of && (value === undefined ? key in event : event[key] === value),
        );
      });
    run(part, "{ sleep 60 & sleep 60; }");
    await comes("pids.events", "max");
    driver.freeze(part.paths);
    await comes("cgroup.events", "frozen", 1);
    driver.thaw(part.paths);
    await comes("cgroup.events", "frozen", 0);
    watch.close();
  });

  test("refuses a limit below what is used when it is told to check", async () => {
    const part = create({ memory: { limit: 64 << 20 } });
    run(part, "exec sleep 60");
    await until(() => driver.processes(part.paths).length === 1);
    const memory = { limit: 4096, checkBeforeUpdate: true };
    expect(() => driver.update(part.paths, { memory })).toThrow("no more than what is used now");
  });

  test("freezes, thaws, and kills a frozen container", async () => {
    const part = create(undefined);
    const child = run(part, "while :; do :; done");
    await until(() => driver.processes(part.paths).length === 1);
    driver.freeze(part.paths);
    expect(driver.isFrozen(part.paths)).toBe(true);
    driver.thaw(part.paths);
    expect(driver.isFrozen(part.paths)).toBe(false);
    driver.freeze(part.paths);
    driver.killAll(part.paths, 9);
    await child.exited;
    expect(child.signalCode).toBe("SIGKILL");
  });

  test("kills everything that keeps forking", async () => {
    const part = create({ pids: { limit: 100 } });
    run(part, "f() { while :; do (f) & sleep 0.01; done; }; f 2>/dev/null");
    await until(() => driver.processes(part.paths).length > 30);
    driver.killAll(part.paths, 9);
    await until(() => driver.processes(part.paths).length === 0);
  });

  test("sends another signal to all", async () => {
    const part = create(undefined);
    const child = run(part, "trap 'exit 7' TERM; while :; do sleep 0.05; done");
    await until(() => driver.processes(part.paths).length > 0);
    await Bun.sleep(100);
    driver.killAll(part.paths, 15);
    expect(await child.exited).toBe(7);
  });

  test("joins the init's cgroup where the container's has children with controllers", async () => {
    const part = create(undefined);
    mkdirSync(`${directory(part)}/init`);
    const child = run({ ...part, paths: { unified: `${directory(part)}/init` } }, "exec sleep 60");
    await until(() => driver.processes(part.paths).length === 1);
    writeFileSync(`${directory(part)}/cgroup.subtree_control`, "+pids +memory");
    const join = driver.join(part.paths, host, child.pid);
    expect(join.before[0]?.action).toMatchObject({ path: directory(part), below: "init" });
    for (const fd of apply(driver, join.before).values()) close(fd);
  });

  test("names the cgroup that holds processes, where controllers cannot be enabled", async () => {
    const above = `${host.cgroup.unified}/ctr-bun-test-${process.pid}`;
    mkdirSync(above);
    const child = Bun.spawn(["sh", "-c", `echo 0 > ${above}/cgroup.procs && exec sleep 60`]);
    await until(() => readFileSync(`${above}/cgroup.procs`, "utf8") !== "");
    const path = `/ctr-bun-test-${process.pid}/c1`;
    expect(() => create({ memory: { limit: 1 << 20 } }, path)).toThrow(`${above} holds processes itself`);
    for (const part of made.splice(0)) driver.remove(part.paths);
    child.kill("SIGKILL");
    await child.exited;
    rmdirSync(above);
  });

  test("has controllers of threads even below a cgroup that holds processes", async () => {
    const above = `${host.cgroup.unified}/ctr-bun-test-${process.pid}`;
    mkdirSync(above);
    const child = Bun.spawn(["sh", "-c", `echo 0 > ${above}/cgroup.procs && exec sleep 60`]);
    await until(() => readFileSync(`${above}/cgroup.procs`, "utf8") !== "");
    const part = create({ pids: { limit: 5 } }, `/ctr-bun-test-${process.pid}/c1`);
    expect(read(part, "pids.max")).toBe("5");
    const inside = run(part, "exec sleep 60");
    await until(() => driver.processes(part.paths).includes(inside.pid));
    driver.killAll(part.paths, 9);
    driver.remove(part.paths);
    child.kill("SIGKILL");
    await child.exited;
    rmdirSync(above);
  });

  test("says so where a cgroup is threaded", () => {
    const above = `${host.cgroup.unified}/ctr-bun-test-${process.pid}`;
    mkdirSync(`${above}/t`, { recursive: true });
    writeFileSync(`${above}/t/cgroup.type`, "threaded");
    const path = `/ctr-bun-test-${process.pid}/c1`;
    expect(() => create({ memory: { limit: 1 << 20 } }, path)).toThrow("domain invalid");
    for (const part of made.splice(0)) driver.remove(part.paths);
    const part = create({ pids: { limit: 5 } }, path);
    expect(read(part, "cgroup.type")).toBe("threaded");
    driver.remove(part.paths);
    rmdirSync(`${above}/t`);
    rmdirSync(above);
  });

  test("refuses a controller that the tree does not have", () => {
    expect(() => create({ unified: { "nonsense.max": "1" } })).toThrow(
      "does not have the controller nonsense",
    );
  });

  test("refuses a cgroup that can hold no process, and one that is frozen", () => {
    const path = `/ctr-bun-test-${process.pid}`;
    const part = create({ pids: { limit: 9 } }, path);
    mkdirSync(`${directory(part)}/below`);
    writeFileSync(`${directory(part)}/cgroup.subtree_control`, "+pids");
    expect(() => create(undefined, path)).toThrow("has controllers for its children (pids)");
    made.pop();
    writeFileSync(`${directory(part)}/cgroup.subtree_control`, "-pids");
    driver.freeze(part.paths);
    expect(() => create(undefined, path)).toThrow("container's cgroup unexpectedly frozen");
    made.pop();
  });

  test("has a controller from the update on that needs it, where it could not be had before", async () => {
    const above = `${host.cgroup.unified}/ctr-bun-test-${process.pid}`;
    mkdirSync(above);
    const child = Bun.spawn(["sh", "-c", `echo 0 > ${above}/cgroup.procs && exec sleep 60`]);
    await until(() => readFileSync(`${above}/cgroup.procs`, "utf8") !== "");
    const part = create(undefined, `/ctr-bun-test-${process.pid}/c1`);
    run(part, "exec sleep 60");
    await until(() => driver.processes(part.paths).length === 1);
    const update = () => driver.update(part.paths, { memory: { limit: 64 << 20 } });
    expect(update).toThrow(`${above} holds processes itself`);
    child.kill("SIGKILL");
    await child.exited;
    update();
    expect(read(part, "memory.max")).toBe(String(64 << 20));
    driver.killAll(part.paths, 9);
    driver.remove(part.paths);
    made.pop();
    rmdirSync(above);
  });

  test("refuses a cgroup that is in use", async () => {
    const path = `/ctr-bun-test-${process.pid}`;
    const part = create(undefined, path);
    run(part, "exec sleep 60");
    await until(() => driver.processes(part.paths).length === 1);
    expect(() => create(undefined, path)).toThrow("container's cgroup is not empty: 1 process(es) found");
    made.pop();
  });

  test("waits for the last process when it removes, and removes what was made below", async () => {
    const part = create(undefined);
    mkdirSync(`${directory(part)}/a/b`, { recursive: true });
    run(part, "exec sleep 0.3");
    await until(() => driver.processes(part.paths).length === 1);
    driver.remove(part.paths);
    expect(existsSync(directory(part))).toBe(false);
  });

  test("counts in runc's shape", async () => {
    const part = create({ pids: { limit: 9 }, memory: { limit: 64 << 20 } });
    run(part, "exec sleep 60");
    await until(() => driver.processes(part.paths).length === 1);
    const stats = driver.stats(part.paths);
    expect(stats).toMatchObject({ pids: { current: 1, limit: 9 }, memory: { usage: { limit: 64 << 20 } } });
    expect(stats.memory).toHaveProperty("raw.anon");
    expect(stats.cpu).toHaveProperty("usage.total");
  });
});
