// Limits that hold on this host's cgroups (version 1, or both): memory, processes, CPU time, devices.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, freshID, makeBundle } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";
import { cgroupsOf } from "../support/left.ts";

const MEBIBYTE = 1024 * 1024;
const sh = (script: string) => ["sh", "-c", script];

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
});
afterAll(() => bundle.dispose());

/** Whether a v1 hierarchy of this controller is mounted; where it is not, cgroup-v2.test.ts has the limits. */
const hasV1 = (controller: string) => existsSync(`/sys/fs/cgroup/${controller}/tasks`);

describe.skipIf(!hasV1("memory"))("memory", () => {
  /** dd has a buffer of 48 MiB and fills it. */
  const eat = sh("dd if=/dev/zero of=/dev/null bs=48M count=1 2>/dev/null && echo fits");
  const limit =
    (limit: number) =>
    ({ linux }: Config) => {
      linux.resources.memory = { limit };
    };

  test("is enough below the limit", () => {
    expect(bundle.run(eat, limit(128 * MEBIBYTE))).toEqual({ code: 0, out: "fits\n", err: "" });
  });

  test("past the limit the program is killed, and run says 137", () => {
    const killed = bundle.run(
      ["dd", "if=/dev/zero", "of=/dev/null", "bs=48M", "count=1"],
      limit(16 * MEBIBYTE),
    );
    expect(killed.code).toBe(137);
  });

  test("of a child past the limit the container is told", () => {
    const { code, out } = bundle.run(
      sh("dd if=/dev/zero of=/dev/null bs=48M count=1 2>/dev/null; echo child ended with $?"),
      limit(16 * MEBIBYTE),
    );
    expect({ code, out }).toEqual({ code: 0, out: "child ended with 137\n" });
  });

  test("of 512 KiB is enough for a static program, for create and start too", () => {
    const small = limit(512 * 1024);
    expect(bundle.run(["echo", "small"], small)).toEqual({ code: 0, out: "small\n", err: "" });
    const id = freshID();
    bundle.configure(["true"], small);
    expect(bundle.ctr("create", "--bundle", bundle.path, id)).toEqual({ code: 0, out: "", err: "" });
    expect(bundle.ctr("start", id)).toEqual({ code: 0, out: "", err: "" });
    expect(bundle.ctr("delete", "--force", id).code).toBe(0);
  });

  test("too small for the init itself is an error that names the limit, and nothing is left", () => {
    const { code, err } = bundle.run(["true"], limit(4096));
    expect(code).toBe(1);
    expect(err).toContain(
      "linux.resources.memory.limit: the container's init was killed by signal 9 before the program started",
    );
    expect(bundle.ctr("list", "-q").out).toBe("");
    expect(cgroupsOf(`test-${process.pid}-`)).toEqual([]);
  });
});

describe.skipIf(!hasV1("pids"))("processes", () => {
  test("beyond the limit cannot be made", () => {
    const many = sh("for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.3 & done; echo made; wait");
    const { out, err } = bundle.run(many, ({ linux }) => {
      linux.resources.pids = { limit: 5 };
    });
    expect(`${out}${err}`).toContain("can't fork");
    expect(out).not.toContain("made");
    const enough = bundle.run(many, ({ linux }) => {
      linux.resources.pids = { limit: 20 };
    });
    expect(enough.out).toBe("made\n");
  });

  test("may be as many as the limit says, exactly", () => {
    // The shell itself and four more.
    const four = (count: number) =>
      bundle.run(sh("for i in 1 2 3 4; do sleep 0.3 & done; echo made; wait"), ({ linux }) => {
        linux.resources.pids = { limit: count };
      });
    expect(four(5).out).toBe("made\n");
    expect(four(4).err).toContain("can't fork");
  });

  test("may be one: the program itself", () => {
    const { code, out, err } = bundle.run(["echo", "alone"], ({ linux }) => {
      linux.resources.pids = { limit: 1 };
    });
    expect({ code, out, err }).toEqual({ code: 0, out: "alone\n", err: "" });
    const id = freshID();
    bundle.configure(["sleep", "100"], ({ linux }) => {
      linux.resources.pids = { limit: 1 };
    });
    expect(bundle.ctr("run", "--detach", "--bundle", bundle.path, id).code).toBe(0);
    // A process moved in from outside is one that v1 does not refuse; it can make none itself.
    const second = bundle.ctr("exec", id, "sh", "-c", "exec 2>&1; echo in; (:); true");
    expect(second.out).toMatch(/^in\nsh: can't fork/);
    expect(bundle.ctr("delete", "--force", id).code).toBe(0);
  });
});

describe.skipIf(!hasV1("cpu"))("CPU time", () => {
  test("is held to its quota", () => {
    const id = freshID();
    bundle.configure(sh("while :; do :; done"), ({ linux }) => {
      linux.resources.cpu = { quota: 10_000, period: 100_000, shares: 512 };
    });
    expect(bundle.ctr("run", "--detach", "--bundle", bundle.path, id).code).toBe(0);
    try {
      const [directory = ""] = cgroupsOf(id).filter((path) => existsSync(join(path, "cpu.cfs_quota_us")));
      const value = (file: string) => readFileSync(join(directory, file), "utf8").trim();
      expect(value("cpu.cfs_quota_us")).toBe("10000");
      expect(value("cpu.cfs_period_us")).toBe("100000");
      expect(value("cpu.shares")).toBe("512");
      // How soon it has used up its quota depends on what else the host does.
      const throttled = (): number => Number(/nr_throttled (\d+)/.exec(value("cpu.stat"))?.[1]);
      for (let tries = 0; tries < 1000 && throttled() === 0; tries++) Bun.sleepSync(20);
      expect(throttled()).toBeGreaterThan(0);
    } finally {
      bundle.ctr("delete", "--force", id);
    }
  });
});

describe.skipIf(!hasV1("devices"))("devices", () => {
  const probe =
    (...rules: object[]) =>
    (config: Config) => {
      config.process.capabilities.bounding?.push("CAP_MKNOD");
      config.process.capabilities.effective?.push("CAP_MKNOD");
      config.process.capabilities.permitted?.push("CAP_MKNOD");
      config.root.readonly = false;
      config.linux.resources.devices = [{ allow: false, access: "rwm" }, ...rules];
    };
  // fuse: it opens for anybody, so that only a device rule can refuse it.
  const fuse = (access: string) => ({ allow: true, type: "c", major: 10, minor: 229, access });
  const attempts = sh(
    "echo x >/dev/null && echo null; head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; rm -f /tmp/x; mknod /tmp/x c 10 229 && echo made; (: </tmp/x) && echo reads; (: >/tmp/x) && echo writes; rm -f /tmp/x",
  );

  test("of every container work, others are refused", () => {
    const { out, err } = bundle.run(attempts, probe());
    expect(out).toBe("null\n4\n4\nmade\n");
    expect(err).toContain("Operation not permitted");
  });

  test("that are allowed work, as far as they are allowed", () => {
    expect(bundle.run(attempts, probe(fuse("rwm"))).out).toBe("null\n4\n4\nmade\nreads\nwrites\n");
    expect(bundle.run(attempts, probe(fuse("rm"))).out).toBe("null\n4\n4\nmade\nreads\n");
  });
});
