// update on the real kernel (cgroup v1): limits that change, that belong together, and that are refused half-way.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { type Bundle, CTR_BUN, freshID, makeBundle, type Result } from "../support/bundle.ts";

const mebibyte = 1024 * 1024;
const GROUPS = "/sys/fs/cgroup";
const isLegacy = existsSync(`${GROUPS}/memory/cgroup.procs`);

let bundle: Bundle;
let id: string;
/** The CPUs of this host. */
let all: string;
beforeAll(() => {
  bundle = makeBundle();
  bundle.configure(["sleep", "1000"], ({ linux, root, process: { capabilities } }) => {
    for (const set of Object.values(capabilities)) set.push("CAP_MKNOD");
    id = freshID();
    linux.cgroupsPath = `/ctr-bun/${id}`;
    linux.resources.memory = { limit: 64 * mebibyte, swap: 128 * mebibyte };
    linux.resources.cpu = { shares: 512, quota: 50_000, period: 100_000 };
    linux.resources.pids = { limit: 50 };
    root.readonly = false;
  });
  expect(bundle.ctr("run", "--detach", "--bundle", bundle.path, id).code).toBe(0);
  if (isLegacy) all = file("cpuset/cpuset.cpus");
});
afterAll(() => bundle.dispose());

const update = (...args: string[]): Result => bundle.ctr("update", ...args, id);
const file = (path: string): string => {
  const [controller, name] = path.split("/");
  return readFileSync(`${GROUPS}/${controller}/ctr-bun/${id}/${name}`, "utf8").trim();
};
const memory = (): number[] =>
  ["memory/memory.limit_in_bytes", "memory/memory.memsw.limit_in_bytes"].map(
    (path) => Number(file(path)) / mebibyte,
  );
const cpu = (): string[] =>
  ["cpu/cpu.shares", "cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us", "cpuset/cpuset.cpus"].map(file);
const stored = () =>
  JSON.parse(readFileSync(`${bundle.state}/${id}/state.json`, "utf8")).config.linux.resources;

describe.skipIf(!isLegacy)("update", () => {
  test("changes what is given, and leaves the rest", () => {
    expect(update("--memory", "32m", "--pids-limit", "20")).toEqual({ code: 0, out: "", err: "" });
    expect([memory(), cpu(), file("pids/pids.max")]).toEqual([
      [32, 128],
      ["512", "50000", "100000", all],
      "20",
    ]);
    expect(stored()).toMatchObject({
      memory: { limit: 32 * mebibyte, swap: 128 * mebibyte },
      pids: { limit: 20 },
      cpu: { shares: 512 },
    });
  });

  test("raises and lowers memory and swap together, whichever has to go first", () => {
    for (const [limit, swap] of [
      [256, 512],
      [16, 24],
      [100, 100],
      [20, 1000],
    ]) {
      expect(update("--memory", `${limit}m`, "--memory-swap", `${swap}m`).err).toBe("");
      expect(memory()).toEqual([Number(limit), Number(swap)]);
    }
  });

  test("knows the swap that was set before", () => {
    update("--memory", "32m", "--memory-swap", "64m");
    const { code, err } = update("--memory", "100m");
    expect(code).toBe(1);
    expect(err).toContain(`--memory-swap: is ${64 * mebibyte}, less than memory.limit (${100 * mebibyte})`);
    expect(memory()).toEqual([32, 64]);
  });

  test("takes limits away", () => {
    expect(update("--memory", "-1", "--cpu-quota", "-1", "--pids-limit", "-1").err).toBe("");
    expect(memory().every((limit) => limit > 2 ** 40)).toBe(true);
    expect(file("cpu/cpu.cfs_quota_us")).toBe("-1");
    expect(file("pids/pids.max")).toBe("max");
  });

  test("sets CPU time, weight and sets of CPUs", () => {
    expect(
      update("--cpu-quota", "20000", "--cpu-period", "40000", "--cpu-share", "300", "--cpuset-cpus", "0").err,
    ).toBe("");
    expect(cpu()).toEqual(["300", "20000", "40000", "0"]);
    expect(update("--cpu-burst", "10000", "--cpu-idle", "1").err).toBe("");
    expect([file("cpu/cpu.cfs_burst_us"), file("cpu/cpu.idle")]).toEqual(["10000", "1"]);
    // An idle group takes no weight: what is not asked for is not written again.
    expect(update("--cpu-quota", "30000", "--cpuset-mems", "0").err).toBe("");
    expect(update("--cpu-idle", "0", "--cpu-share", "512", "--cpuset-cpus", all).err).toBe("");
    expect(cpu()).toEqual(["512", "30000", "40000", all]);
  });

  test("reads a file or standard input, and then no other flag", async () => {
    const resources = JSON.stringify({ memory: { limit: 48 * mebibyte, swap: -1 }, pids: { limit: 33 } });
    await Bun.write(`${bundle.path}/resources.json`, resources);
    expect(update("-r", `${bundle.path}/resources.json`, "--memory", "1g").err).toBe("");
    expect([memory()[0], file("pids/pids.max")]).toEqual([48, "33"]);
    const child = Bun.spawn([CTR_BUN, "--root", bundle.state, "update", "--resources", "-", id], {
      stdin: new TextEncoder().encode('{"cpu":{"shares":700},"memory":null}'),
    });
    expect(await child.exited).toBe(0);
    expect(file("cpu/cpu.shares")).toBe("700");
    expect(update("-r", "/nowhere").code).toBe(1);
    await Bun.write(`${bundle.path}/resources.json`, '{"memory":{"limit":"5m"}}');
    expect(update("-r", `${bundle.path}/resources.json`).err).toContain("memory.limit");
  });

  test("leaves devices alone, with a word when others are asked for", async () => {
    const before = file("devices/devices.list");
    await Bun.write(`${bundle.path}/resources.json`, '{"devices":[{"allow":true,"access":"rwm"}]}');
    const { code, err } = update("-r", `${bundle.path}/resources.json`);
    expect({ code, err }).toMatchObject({
      code: 0,
      err: expect.stringContaining("linux.resources.devices is ignored"),
    });
    expect(file("devices/devices.list")).toBe(before);
    const same = JSON.stringify({ devices: stored().devices });
    await Bun.write(`${bundle.path}/resources.json`, same);
    expect(update("-r", `${bundle.path}/resources.json`)).toEqual({ code: 0, out: "", err: "" });
  });
});

describe.skipIf(!isLegacy)("update --devices", () => {
  const kmsg = (): string => bundle.ctr("exec", id, "sh", "-c", "(: > /kmsg) 2>/dev/null && echo opened").out;
  const replace = async (devices: object[]): Promise<Result> => {
    await Bun.write(`${bundle.path}/resources.json`, JSON.stringify({ devices, pids: { limit: 30 } }));
    return update("--devices", "-r", `${bundle.path}/resources.json`);
  };
  const DENY = { allow: false, access: "rwm" };
  const KMSG = { allow: true, type: "c", major: 1, minor: 11, access: "w" };

  test("takes the place of what the container may open, and is kept", async () => {
    expect(bundle.ctr("exec", id, "mknod", "/kmsg", "c", "1", "11").err).toBe("");
    expect(kmsg()).toBe("");
    expect(await replace([DENY, KMSG])).toEqual({ code: 0, out: "", err: "" });
    expect(kmsg()).toBe("opened\n");
    expect(stored().devices).toEqual([DENY, KMSG]);
    expect(update("--pids-limit", "20").err).toBe("");
    expect(kmsg()).toBe("opened\n");
    expect((await replace([DENY])).err).toBe("");
    expect(kmsg()).toBe("");
  });

  test("what v1 cannot hold is refused, and changes nothing", async () => {
    const before = [file("devices/devices.list"), file("pids/pids.max"), stored()];
    const { code, err } = await replace([DENY, { ...KMSG, minor: -1 }, { ...KMSG, allow: false }]);
    expect({ code, err }).toEqual({
      code: 1,
      err: expect.stringContaining("linux.resources.devices: deny c 1:11"),
    });
    expect([file("devices/devices.list"), file("pids/pids.max"), stored()]).toEqual(before);
    expect(update("--devices").err).toContain("--devices: no file is given");
  });
});

describe.skipIf(!isLegacy)("an update that the kernel refuses half-way", () => {
  test("is put back whole", () => {
    update("--memory", "64m", "--memory-swap", "128m", "--cpu-share", "512", "--cpu-quota", "50000");
    const before = [memory(), cpu(), file("pids/pids.max"), stored()];
    for (const bad of [
      ["--cpuset-cpus", "4095"],
      ["--memory", "1k"],
      ["--cpu-rt-runtime", "500"],
    ]) {
      const { code, err } = update("--cpu-share", "300", "--cpu-quota", "20000", ...bad);
      expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining(`${bad[0]}: `) });
      expect(err).not.toContain("could not be put back");
      expect([memory(), cpu(), file("pids/pids.max"), stored()]).toEqual(before);
    }
  });

  test("says so in runc's words where memory is in use", () => {
    expect(update("--memory", "1k").err).toMatch(
      /--memory: unable to set memory limit to 1024 \(current usage: \d+, peak usage: \d+\)/,
    );
  });
});

describe.skipIf(!isLegacy)("update refuses", () => {
  test("values that make no sense, by the flag's name", () => {
    const said = (...args: string[]): string => {
      const { code, err } = update(...args);
      expect(code).toBe(1);
      return err.split("\n")[0] ?? "";
    };
    expect(said("--memory", "abc")).toBe("ctr-bun: --memory: invalid value for memory: invalid size: 'abc'");
    expect(said("--cpu-share", "1")).toBe("ctr-bun: --cpu-share: the minimum allowed cpu-shares is 2");
    expect(said("--cpuset-cpus", "x")).toContain("--cpuset-cpus: ");
    expect(said("--blkio-weight", "70000")).toContain("--blkio-weight: ");
    expect(said("--l3-cache-schema", "L3:0=f")).toContain("Intel RDT/CAT: l3 cache schema is not enabled");
    expect(said("--mem-bw-schema", "MB:0=70")).toContain(
      "Intel RDT/MBA: memory bandwidth schema is not enabled",
    );
  });

  test("a container that has ended, and one that is not there", () => {
    const gone = freshID();
    bundle.configure(["true"]);
    bundle.ctr("run", "--detach", "--bundle", bundle.path, gone);
    for (
      let tries = 0;
      tries < 100 && JSON.parse(bundle.ctr("state", gone).out).status !== "stopped";
      tries++
    ) {
      Bun.sleepSync(20);
    }
    expect(bundle.ctr("update", "--memory", "1g", gone).err).toContain("container not running");
    expect(bundle.ctr("update", "--memory", "1g", "nope").err).toContain("container does not exist");
  });
});
