/**
 * The v1 driver (hybrid too) on this host's kernel, as root: what the kernel then does, not what the files say.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { cgroupV1Driver as driver } from "../../drivers/cgroup-v1/driver.ts";
import type { CgroupPart, Host } from "../../src/driver.ts";
import { close } from "../../src/kernel/file.ts";
import { probeCgroups } from "../../src/runtime/host-cgroup.ts";
import type { LinuxResources } from "../../src/spec/runtime/resources.ts";
import { apply, hybrid } from "../unit/cgroup/fixtures.ts";

const host: Host = { ...hybrid, cgroup: probeCgroups() };
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

/** Starts a shell that joins as stage 0 does, and then runs the command. */
function run(part: CgroupPart, command: string): Bun.Subprocess<"ignore", "pipe", "pipe"> {
  const files = part.join.map((step) => step.path);
  if (part.paths.unified !== undefined) files.push(`${part.paths.unified}/cgroup.procs`);
  const join = files.map((file) => `echo 0 > ${file}`).join(" && ");
  return Bun.spawn(["sh", "-c", `${join} && ${command}`], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

function read(part: CgroupPart, controller: string, file: string): string {
  return readFileSync(`${part.paths[controller]}/${file}`, "utf8").trim();
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
    for (const path of Object.values(part.paths)) expect(existsSync(path)).toBe(false);
  }
});

describe.skipIf(!runs)("cgroup v1", () => {
  test("puts a process into its own cgroup in every hierarchy", async () => {
    const part = create(undefined);
    const child = run(part, "exec sleep 60");
    await until(() => readFileSync(`/proc/${child.pid}/cmdline`, "utf8").startsWith("sleep"));
    // Somebody may have mounted a hierarchy that is not seen from here.
    const lines = readFileSync(`/proc/${child.pid}/cgroup`, "utf8")
      .trim()
      .split("\n")
      .filter((one) => (one.split(":")[1] || "unified").split(",").some((name) => name in part.paths));
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) expect(line).toEndWith(`/ctr-bun/${part.paths.memory?.split("/").at(-1)}`);
    expect(driver.processes(part.paths)).toEqual([child.pid]);
  });

  test("writes limits that the kernel shows", () => {
    const part = create({
      memory: { limit: 64 << 20, swap: 128 << 20, reservation: 32 << 20, swappiness: 10 },
      cpu: { shares: 512, period: 50_000, quota: 25_000, burst: 10_000, cpus: "0" },
      pids: { limit: 7 },
    });
    apply(driver, part.atPid);
    expect(read(part, "memory", "memory.limit_in_bytes")).toBe(String(64 << 20));
    expect(read(part, "memory", "memory.memsw.limit_in_bytes")).toBe(String(128 << 20));
    expect(read(part, "memory", "memory.soft_limit_in_bytes")).toBe(String(32 << 20));
    expect(read(part, "cpu", "cpu.shares")).toBe("512");
    expect(read(part, "cpu", "cpu.cfs_quota_us")).toBe("25000");
    expect(read(part, "cpu", "cpu.cfs_burst_us")).toBe("10000");
    expect(read(part, "cpuset", "cpuset.cpus")).toBe("0");
    expect(read(part, "cpuset", "cpuset.mems")).not.toBe("");
    expect(read(part, "pids", "pids.max")).toBe("7");
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
    const child = run(part, "exec true");
    expect(await child.exited).toBe(0);
  });

  test("holds a process to its pids limit", async () => {
    const part = create({ pids: { limit: 1 } });
    const child = run(part, "read x < /dev/null; sleep 0.1; /bin/true; exec /bin/true");
    apply(driver, part.atPid);
    const error = await new Response(child.stderr).text();
    expect(error.toLowerCase()).toContain("fork");
  });

  test("denies a device that is not allowed, and allows the defaults", async () => {
    const part = create({ devices: [{ allow: false, access: "rwm" }] });
    const child = run(part, "cat /dev/null && ! cat /dev/kmsg && echo held");
    expect(await new Response(child.stdout).text()).toBe("held\n");
    expect(await new Response(child.stderr).text()).toContain("not permitted");
  });

  test("changes devices of a running container", () => {
    const part = create({ devices: [{ allow: false }, { allow: true, type: "c", major: 10, minor: 229 }] });
    driver.update(part.paths, {
      devices: [{ allow: false }, { allow: true, type: "b", major: 7, minor: 0, access: "r" }],
    });
    const list = read(part, "devices", "devices.list").split("\n");
    expect(list).toContain("b 7:0 r");
    expect(list).toContain("c 1:3 rwm");
    expect(list).not.toContain("c 10:229 rwm");
  });

  test("updates limits in the order that the kernel takes", () => {
    const part = create({
      memory: { limit: 64 << 20, swap: 64 << 20 },
      cpu: { period: 50_000, quota: 50_000 },
    });
    driver.update(part.paths, { memory: { limit: 128 << 20, swap: 128 << 20 } });
    expect(read(part, "memory", "memory.memsw.limit_in_bytes")).toBe(String(128 << 20));
    driver.update(part.paths, { memory: { limit: 32 << 20, swap: 32 << 20 } });
    expect(read(part, "memory", "memory.limit_in_bytes")).toBe(String(32 << 20));
    driver.update(part.paths, { memory: { limit: -1 } });
    expect(BigInt(read(part, "memory", "memory.memsw.limit_in_bytes"))).toBeGreaterThan(1n << 60n);
    driver.update(part.paths, { cpu: { burst: 20_000, quota: 100_000, idle: 1 } });
    expect(read(part, "cpu", "cpu.idle")).toBe("1");
    driver.update(part.paths, { cpu: { shares: 2048, idle: 0 } });
    expect(read(part, "cpu", "cpu.shares")).toBe("2048");
  });

  test("freezes and thaws", async () => {
    const part = create(undefined);
    const child = run(part, "while :; do :; done");
    await until(() => driver.processes(part.paths).length === 1);
    driver.freeze(part.paths);
    expect(driver.isFrozen(part.paths)).toBe(true);
    const ticks = (): string =>
      readFileSync(`/proc/${child.pid}/stat`, "utf8").split(" ").slice(13, 15).join();
    const before = ticks();
    await Bun.sleep(50);
    expect(ticks()).toBe(before);
    driver.thaw(part.paths);
    expect(driver.isFrozen(part.paths)).toBe(false);
    await until(() => ticks() !== before);
  });

  test("kills a frozen container", async () => {
    const part = create(undefined);
    const child = run(part, "exec sleep 60");
    await until(() => driver.processes(part.paths).length === 1);
    driver.freeze(part.paths);
    driver.killAll(part.paths, 9);
    await child.exited;
    expect(child.signalCode).toBe("SIGKILL");
  });

  for (const tree of ["with", "without"]) {
    test(`kills everything that keeps forking, ${tree} the cgroup2 tree`, async () => {
      const part = create({ pids: { limit: 200 } });
      const { unified, ...v1 } = part.paths;
      const paths = tree === "with" ? part.paths : v1;
      run(part, "f() { while :; do (f) & sleep 0.001; done; }; f 2>/dev/null");
      apply(driver, part.atPid);
      await until(() => driver.processes(part.paths).length > 50);
      driver.killAll(paths, 9);
      await until(() => driver.processes(part.paths).length === 0);
      if (unified !== undefined) expect(readFileSync(`${unified}/cgroup.procs`, "utf8")).toBe("");
    });
  }

  test("sends another signal to all, and leaves a frozen container frozen", async () => {
    const part = create(undefined);
    const child = run(part, "trap 'exit 7' TERM; while :; do sleep 0.01; done");
    await until(() => driver.processes(part.paths).length > 0);
    await Bun.sleep(30);
    driver.freeze(part.paths);
    driver.killAll(part.paths, 15);
    expect(driver.isFrozen(part.paths)).toBe(true);
    driver.thaw(part.paths);
    expect(await child.exited).toBe(7);
  });

  test("refuses a cgroup that is in use, and takes it when it is free again", async () => {
    const path = `/ctr-bun-test-${process.pid}/inner`;
    const part = create(undefined, path);
    const child = run(part, "exec sleep 60");
    await until(() => driver.processes(part.paths).length === 1);
    expect(() => create(undefined, path)).toThrow("container's cgroup is not empty: 1 process(es) found");
    made.pop();
    child.kill("SIGKILL");
    await child.exited;
    create(undefined, path);
    const above = Object.fromEntries(
      Object.entries(part.paths).map(([name, directory]) => [name, directory.slice(0, -"/inner".length)]),
    );
    driver.remove(above);
    expect(Object.values(above).some(existsSync)).toBe(false);
  });

  test("refuses a cgroup that is frozen, in which nothing would ever begin", () => {
    const path = `/ctr-bun-test-${process.pid}`;
    const part = create(undefined, path);
    driver.freeze(part.paths);
    expect(() => create(undefined, path)).toThrow("container's cgroup unexpectedly frozen");
    made.pop();
    driver.thaw(part.paths);
    create(undefined, path);
    made.pop();
  });

  test("reaches and removes what is nested deeper than a walk holds descriptors", async () => {
    const part = create(undefined);
    const deepest = `${part.paths.freezer}/${"a/".repeat(100)}`;
    mkdirSync(`${deepest}/b`, { recursive: true });
    const script = `echo 0 > ${deepest}/cgroup.procs && exec sleep 60`;
    const child = Bun.spawn(["sh", "-c", script], { stdio: ["ignore", "ignore", "ignore"] });
    await until(() => driver.processes(part.paths).length === 1);
    expect(driver.processes(part.paths)).toEqual([child.pid]);
    driver.killAll({ freezer: part.paths.freezer ?? "" }, 9);
    await child.exited;
    driver.remove(part.paths);
    expect(existsSync(part.paths.freezer ?? "")).toBe(false);
  });

  test("waits for the last process when it removes", async () => {
    const part = create(undefined);
    run(part, "exec sleep 0.3");
    await until(() => driver.processes(part.paths).length === 1);
    driver.remove(part.paths);
    expect(existsSync(part.paths.memory ?? "")).toBe(false);
  });

  test("removes cgroups that were made below", () => {
    const part = create(undefined);
    for (const path of Object.values(part.paths)) Bun.spawnSync(["mkdir", "-p", `${path}/a/b`, `${path}/c`]);
    driver.remove(part.paths);
    for (const path of Object.values(part.paths)) expect(existsSync(path)).toBe(false);
    driver.remove(part.paths);
  });

  test("counts in runc's shape", async () => {
    const part = create({ pids: { limit: 9 } });
    apply(driver, part.atPid);
    const child = run(part, "exec sleep 60");
    await until(() => driver.processes(part.paths).length === 1);
    const stats = driver.stats(part.paths) as unknown as {
      cpu: { usage: { total: number; percpu: number[] } };
      memory: { usage: { usage: number; limit: number }; raw: Record<string, number> };
      pids: { current: number; limit: number };
      cpuset: { cpus: number[] };
    };
    expect(stats.cpu.usage.total).toBeGreaterThan(0);
    expect(stats.cpu.usage.percpu.length).toBeGreaterThan(0);
    expect(stats.memory.usage.usage).toBeGreaterThan(0);
    expect(stats.memory.raw).toHaveProperty("rss");
    expect(stats.pids).toEqual({ current: 1, limit: 9 });
    expect(stats.cpuset.cpus).toContain(0);
    // v1 has no pressure files of its own, and the cgroup2 tree beside it has.
    const pressure = existsSync(`${part.paths.unified}/cpu.pressure`);
    expect("psi" in stats.cpu && "psi" in stats.memory).toBe(pressure);
    child.kill();
  });
});
