// pause and resume on the real kernel: what stands still, what goes on, and what the other verbs make of a paused one.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, freshID, makeBundle, type Result } from "../support/bundle.ts";
import { until } from "../support/until.ts";

const COUNT = "trap 'exit 3' TERM; while :; do echo x >> /tmp/count; sleep 0.02; done";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
});
afterAll(() => bundle.dispose());

const ctr = (...args: string[]): Result => bundle.ctr(...args);
const status = (id: string): string => JSON.parse(ctr("state", id).out).status;
const pidOf = (id: string): number => JSON.parse(ctr("state", id).out).pid;

/** A container, paused or to be paused, that is gone afterwards. */
async function container(work: (id: string) => void | Promise<void>, started = true): Promise<void> {
  const id = freshID();
  rmSync(join(bundle.rootfs, "tmp/count"), { force: true });
  bundle.configure(["sh", "-c", COUNT], ({ root }) => {
    root.readonly = false;
  });
  expect(ctr("create", "--bundle", bundle.path, id).code).toBe(0);
  try {
    if (started) expect(ctr("start", id).code).toBe(0);
    await work(id);
  } finally {
    expect(ctr("delete", "--force", id).code).toBe(0);
  }
}

/** How much the container's program wrote so far. */
function counted(): number {
  return statSync(join(bundle.rootfs, "tmp/count"), { throwIfNoEntry: false })?.size ?? 0;
}

describe("pause", () => {
  test("stops every process, and resume lets it go on", () =>
    container(async (id) => {
      await until(() => counted() > 0);
      expect(ctr("pause", id)).toEqual({ code: 0, out: "", err: "" });
      expect(status(id)).toBe("paused");
      const before = counted();
      await Bun.sleep(200);
      expect(counted()).toBe(before);
      expect(ctr("list").out).toContain("paused");
      expect(ctr("resume", id)).toEqual({ code: 0, out: "", err: "" });
      expect(status(id)).toBe("running");
      await until(() => counted() > before);
    }));

  test("of one that is paused or has ended is an error, as resume of one that is not paused", () =>
    container(async (id) => {
      expect(ctr("resume", id)).toMatchObject({
        code: 1,
        err: expect.stringContaining("container not paused"),
      });
      ctr("pause", id);
      expect(ctr("pause", id)).toMatchObject({
        code: 1,
        err: expect.stringContaining("container not running"),
      });
      ctr("kill", id, "KILL");
      await until(() => status(id) === "stopped");
      expect(ctr("pause", id)).toMatchObject({
        code: 1,
        err: expect.stringContaining("container not running"),
      });
      expect(ctr("resume", id)).toMatchObject({
        code: 1,
        err: expect.stringContaining("container not paused"),
      });
    }));

  test("of one that is only created holds up its start", () =>
    container((id) => {
      expect(ctr("pause", id).code).toBe(0);
      expect(status(id)).toBe("paused");
      const start = ctr("start", id);
      expect(start).toMatchObject({
        code: 1,
        err: expect.stringContaining("cannot start a container in the paused state"),
      });
      ctr("resume", id);
      expect(status(id)).toBe("created");
      expect(ctr("start", id).code).toBe(0);
    }, false));
});

describe("a paused container", () => {
  test("runs nothing more, unless exec is told to ignore it", () =>
    container(async (id) => {
      ctr("pause", id);
      const { code, err } = ctr("exec", id, "true");
      expect(code).not.toBe(0);
      expect(err).toContain("cannot exec in a paused container (use --ignore-paused to override)");
      const waiting = Bun.spawn(
        [
          join(import.meta.dir, "../../dist/ctr-bun"),
          "--root",
          bundle.state,
          "exec",
          "--ignore-paused",
          id,
          "true",
        ],
        { stdin: "ignore" },
      );
      await Bun.sleep(300);
      expect(waiting.exitCode).toBeNull();
      ctr("resume", id);
      expect(await waiting.exited).toBe(0);
    }));

  test("hears of TERM when it goes on", () =>
    container(async (id) => {
      await until(() => counted() > 0);
      const pid = pidOf(id);
      ctr("pause", id);
      expect(ctr("kill", id, "TERM").code).toBe(0);
      expect(status(id)).toBe("paused");
      // Others may be pending too: that a child has ended, say.
      const pending = /^ShdPnd:\t([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
      expect(Number(BigInt(`0x${pending}`) & 0x4000n)).toBe(0x4000);
      ctr("resume", id);
      await until(() => status(id) === "stopped");
    }));

  test("dies of KILL at once", () =>
    container(async (id) => {
      ctr("pause", id);
      expect(ctr("kill", id, "KILL").code).toBe(0);
      await until(() => status(id) === "stopped");
    }));

  test("is deleted only by force", () =>
    container((id) => {
      ctr("pause", id);
      expect(ctr("delete", id)).toMatchObject({
        code: 1,
        err: expect.stringContaining(`cannot delete container ${id} that is not stopped: paused`),
      });
      expect(ctr("delete", "--force", id).code).toBe(0);
      expect(ctr("state", id).code).toBe(1);
    }));
});

describe("a container without a cgroup", () => {
  test("has processes known by its pid namespace, and by nothing where it has none", () => {
    const processes = (types: readonly string[]) => {
      const id = freshID();
      bundle.configure(["sleep", "100"], ({ linux }) => {
        linux.namespaces = ["mount", "uts", "network", "ipc", ...types].map((type) => ({ type }));
      });
      ctr("--cgroup-manager", "disabled", "run", "--detach", "--bundle", bundle.path, id);
      try {
        return ctr("ps", "--format", "json", id);
      } finally {
        ctr("delete", "--force", id);
      }
    };
    expect(processes(["pid"])).toEqual({
      code: 0,
      out: expect.stringMatching(/^\[\d+\]\n$/),
      err: "",
    });
    expect(processes([])).toMatchObject({
      code: 1,
      err: expect.stringContaining("has no cgroup, so which processes are in it is not known"),
    });
  });

  test("is told of by pause, update and events", () => {
    const id = freshID();
    bundle.configure(["sleep", "100"]);
    const create = ctr("--cgroup-manager", "disabled", "create", "--bundle", bundle.path, id);
    expect(create.code).toBe(0);
    try {
      expect(status(id)).toBe("created");
      for (const [verb, why] of [
        [["pause"], "it cannot be paused"],
        [["update", "--memory", "1g"], "it cannot be limited"],
        [["events", "--stats"], "nothing is counted"],
      ] as const) {
        const { code, err } = ctr(...verb, id);
        expect({ code, err }).toEqual({
          code: 1,
          err: expect.stringContaining(`container ${id} has no cgroup, so ${why}`),
        });
      }
    } finally {
      ctr("delete", "--force", id);
    }
  });
});
