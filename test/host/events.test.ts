// events at the OCI level: counters once and every so often, running out of memory, and the end of the stream.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import { type Bundle, CTR_BUN, freshID, makeBundle } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";
import { until } from "../support/until.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
});
afterAll(() => bundle.dispose());

const lines = (text: string): string[] => text.split("\n").filter((line) => line !== "");

/** A container that runs and, at the end, is gone. */
async function running(
  args: string[],
  work: (id: string) => void | Promise<void>,
  change: (config: Config) => void = () => undefined,
): Promise<void> {
  const id = freshID();
  bundle.configure(args, change);
  expect(bundle.ctr("run", "--detach", "--bundle", bundle.path, id).code).toBe(0);
  try {
    await work(id);
  } finally {
    bundle.ctr("delete", "--force", id);
  }
}

/** Waits for USR1, and goes on then. One that comes before there is the trap is not heard. */
const WAIT = "trap go=1 USR1; until [ $go ]; do sleep 0.1; done";

/** `events`, running: `onLine` is called for each line as it comes. */
function listen(
  id: string,
  flags: string[],
  onLine: (line: string, count: number) => void = () => undefined,
) {
  const child = Bun.spawn([CTR_BUN, "--root", bundle.state, "events", ...flags, id], {
    stdin: "ignore",
    stdout: "pipe",
    timeout: 30_000,
  });
  const ended = async (): Promise<{ code: number; lines: string[] }> => {
    let out = "";
    let told = 0;
    for await (const part of child.stdout) {
      out += new TextDecoder().decode(part);
      for (const whole = out.split("\n").slice(0, -1); told < whole.length; told++) {
        onLine(whole[told] ?? "", told + 1);
      }
    }
    return { code: await child.exited, lines: lines(out) };
  };
  return { pid: child.pid, ended: ended() };
}

/** What the descriptors of a process lead to; those that close meanwhile are left out. */
function descriptorsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return [];
    }
  });
}

const typeOf = (line: string): string => JSON.parse(line).type;

describe("events --stats", () => {
  test("counts once, in runc's shape", () =>
    running(
      ["sleep", "100"],
      (id) => {
        const { code, out } = bundle.ctr("events", "--stats", id);
        expect(code).toBe(0);
        expect(lines(out)).toHaveLength(1);
        const { type, id: of, data } = JSON.parse(out);
        expect({ type, of }).toEqual({ type: "stats", of: id });
        expect(Object.keys(data).sort()).toEqual(
          "blkio cpu cpuset hugetlb intel_rdt memory network_interfaces pids".split(" "),
        );
        expect(data.pids).toEqual({ current: 1, limit: 7 });
        expect(data.memory.usage.limit).toBe(64 << 20);
        expect(data.memory.usage.usage).toBeGreaterThan(0);
        expect(data.cpu.usage.total).toBeGreaterThan(0);
      },
      ({ linux }) => {
        linux.resources.pids = { limit: 7 };
        linux.resources.memory = { limit: 64 << 20 };
      },
    ));
});

describe("events", () => {
  test("counts every so often, until the container ends", () =>
    running(["sleep", "100"], async (id) => {
      const heard = await listen(id, ["--interval", "50ms"], (_, count) => {
        if (count === 3) bundle.ctr("kill", id, "KILL");
      }).ended;
      expect(heard.code).toBe(0);
      expect(new Set(heard.lines.map(typeOf))).toEqual(new Set(["stats"]));
    }));

  test("ends at once with a container, however long the interval is", () =>
    running(["sleep", "100"], async (id) => {
      const { pid, ended } = listen(id, ["--interval", "1h"]);
      await until(() => descriptorsOf(pid).includes("anon_inode:[pidfd]"));
      bundle.ctr("kill", id, "KILL");
      expect(await ended).toEqual({ code: 0, lines: [] });
    }));

  test("tells that the container ran out of memory", () =>
    running(
      ["sh", "-c", `${WAIT}; dd if=/dev/zero of=/dev/null bs=200M count=1; sleep 0.5`],
      async (id) => {
        const { code, lines } = await listen(id, ["--interval", "100ms"], (line) => {
          // It counts, so it listens.
          if (typeOf(line) === "stats") bundle.ctr("kill", id, "USR1");
        }).ended;
        expect(code).toBe(0);
        // The kernel may meet the limit several times before the process that it kills lets go of its memory.
        expect(lines).toContain(`{"type":"oom","id":"${id}"}`);
        expect(lines.map(typeOf).filter((type) => !/^(stats|oom|memory\..*)$/.test(type))).toEqual([]);
      },
      ({ linux }) => {
        linux.resources.memory = { limit: 32 << 20, swap: 32 << 20 };
      },
    ));

  test("tells of forks that the pids limit refused, as soon as the kernel counts them", () =>
    running(
      ["sh", "-c", `${WAIT}; sleep 100 & sleep 100 & sleep 100 & sleep 100`],
      async (id) => {
        const { lines } = await listen(id, ["--interval", "100ms"], (line) => {
          bundle.ctr("kill", id, typeOf(line) === "stats" ? "USR1" : "KILL");
        }).ended;
        const events = lines.map((line) => JSON.parse(line));
        expect(events.filter(({ type }) => type !== "stats")).toEqual([
          { type: "pids.events", id, data: { max: 1 } },
        ]);
      },
      ({ linux }) => {
        linux.resources.pids = { limit: 3 };
      },
    ));

  test("ends when nobody listens any more", () =>
    running(["sleep", "100"], async (id) => {
      const command = `"${CTR_BUN}" --root "${bundle.state}" events --interval 100ms ${id} | head -1`;
      const child = Bun.spawn(["sh", "-c", command], { stdin: "ignore", stdout: "pipe", timeout: 30_000 });
      expect(lines(await new Response(child.stdout).text())).toHaveLength(1);
      expect(await child.exited).toBe(0);
    }));

  test("refuses an interval that is none, and a container that has ended or is not there", () =>
    running(["sleep", "100"], (id) => {
      const said = (...args: string[]): string => {
        const { code, err } = bundle.ctr("events", ...args);
        expect(code).toBe(1);
        return err;
      };
      expect(said("--interval", "0s", id)).toContain("duration interval must be greater than 0");
      expect(said("--interval", "-1s", id)).toContain("duration interval must be greater than 0");
      expect(said("--interval", "5", id)).toContain('invalid value "5" for flag -interval: parse error');
      expect(said("nope")).toContain("container does not exist");
      bundle.ctr("kill", id, "KILL");
      for (
        let tries = 0;
        tries < 100 && JSON.parse(bundle.ctr("state", id).out).status !== "stopped";
        tries++
      ) {
        Bun.sleepSync(20);
      }
      expect(said(id)).toContain(`container with id ${id} is not running`);
      expect(said("--stats", id)).toContain(`container with id ${id} is not running`);
    }));
});

describe("checkpoint and restore", () => {
  test("are refused with a way out, whatever flags they get", () =>
    running(["sleep", "100"], (id) => {
      const flags = ["--image-path", "/x", "--tcp-established", "--empty-ns", "network", "--file-locks"];
      const checkpoint = bundle.ctr("checkpoint", ...flags, "--leave-running", "--status-fd", "7", id);
      expect(checkpoint).toMatchObject({
        code: 1,
        err: expect.stringContaining("checkpoint is not supported: "),
      });
      const restore = bundle.ctr(
        "restore",
        ...flags,
        "--detach",
        "-b",
        bundle.path,
        "--pid-file",
        "/x",
        "other",
      );
      expect(restore).toMatchObject({ code: 1, err: expect.stringContaining("restore is not supported: ") });
      expect(bundle.ctr("checkpoint", "nope").err).toContain("container does not exist");
      expect(JSON.parse(bundle.ctr("state", id).out).status).toBe("running");
    }));
});
