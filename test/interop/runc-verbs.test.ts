// The verbs for a container that is there (pause, resume, ps, ...) under runc and under ctr-bun, one after the other on
// the same kind of container: exit codes, the words that engines look for, and what they print.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, CTR_BUN, freshID, makeBundle, runCommand } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
});
afterAll(() => bundle.dispose());

interface Said {
  readonly code: number;
  readonly out: string;
  /** What it logged last: `msg` of the line in JSON. */
  readonly msg: string;
}

/** Carries out the same with both runtimes, on a container each under the same ID, and returns both outcomes. */
function both<T>(
  work: (ask: (...args: string[]) => Said, id: string) => T,
  change: (config: Config) => void = () => undefined,
): { runc: T; ours: T } {
  const id = freshID();
  const run = (runtime: string[]): T => {
    bundle.configure(["sleep", "1000"], (config) => {
      config.linux.cgroupsPath = `/ctr-bun/${id}`;
      change(config);
    });
    const ask = (...args: string[]): Said => {
      const { code, out, err } = runCommand([...runtime, "--log-format", "json", ...args]);
      const line = err.trim().split("\n").at(-1) ?? "";
      return { code, out, msg: line.startsWith("{") ? JSON.parse(line).msg : "" };
    };
    try {
      expect(ask("create", "--bundle", bundle.path, id).code).toBe(0);
      return work(ask, id);
    } finally {
      ask("delete", "--force", id);
    }
  };
  return {
    runc: run(["runc", "--root", join(bundle.path, "runc")]),
    ours: run([CTR_BUN, "--root", bundle.state]),
  };
}

/** The exit code and, of the words that were said, those of runc that begin or end them. */
function codeAndWords({ code, msg }: Said, theirs: Said): [code: number, words: string] {
  return [code, msg.includes(theirs.msg) ? theirs.msg : msg];
}

function expectSame({ runc, ours }: { runc: Said[]; ours: Said[] }): void {
  expect(runc.some(({ code }) => code === 0)).toBe(true);
  expect(ours.map((each, at) => codeAndWords(each, runc[at] ?? each))).toEqual(
    runc.map(({ code, msg }) => [code, msg]),
  );
}

describe("pause and resume", () => {
  test("have the same outcomes and words in every state", () => {
    expectSame(
      both((ask, id) => [
        ask("resume", id),
        ask("pause", id),
        ask("start", id),
        ask("delete", id),
        ask("resume", id),
        ask("start", id),
        ask("pause", id),
        ask("pause", id),
        ask("resume", id),
        ask("resume", id),
        ask("pause", "nope"),
        ask("resume", "nope"),
      ]),
    );
  });

  test("lead to the same states", () => {
    const { runc, ours } = both((ask, id) => {
      const status = (verb: string): string => {
        ask(verb, id);
        return JSON.parse(ask("state", id).out).status;
      };
      return ["pause", "resume", "start", "pause", "resume"].map(status);
    });
    expect(runc).toEqual(["paused", "created", "running", "paused", "running"]);
    expect(ours).toEqual(runc);
  });
});

describe("ps", () => {
  test("prints the same but for the process's number", () => {
    const { runc, ours } = both((ask, id) => {
      ask("start", id);
      const pid = String(JSON.parse(ask("state", id).out).pid);
      const asked = [ask("ps", id), ask("ps", "-f", "json", id), ask("ps", id, "-A", "-o", "pid,args")];
      // Times of the day, and how much of a CPU it used, change meanwhile.
      return asked.map(({ code, out }) => [
        code,
        out
          .replaceAll(pid, "PID")
          .replace(/ +\d+ \d\d:\d\d /, " C hh:mm ")
          .replace(/ +/g, " "),
      ]);
    });
    expect(ours).toEqual(runc);
    expect(runc[1]).toEqual([0, "[PID]\n"]);
  });

  test("has the same words for what it cannot do, and nothing of one that has stopped", () => {
    const { runc, ours } = both((ask, id) => {
      ask("start", id);
      const running = [ask("ps", "-f", "xml", id), ask("ps", "nope"), ask("ps", id, "-o", "args")];
      ask("kill", id, "KILL");
      for (let tries = 0; tries < 100 && JSON.parse(ask("state", id).out).status !== "stopped"; tries++) {
        Bun.sleepSync(20);
      }
      return { running, stopped: [ask("ps", id).out, ask("ps", "--format", "json", id).out] };
    });
    expect(ours.stopped).toEqual(runc.stopped);
    expect(ours.running.map((each, at) => codeAndWords(each, runc.running[at] ?? each))).toEqual(
      runc.running.map(({ code, msg }) => [code, msg]),
    );
  });
});

describe("update", () => {
  const FILES = [
    "memory/memory.limit_in_bytes",
    "memory/memory.memsw.limit_in_bytes",
    "memory/memory.soft_limit_in_bytes",
    "cpu/cpu.shares",
    "cpu/cpu.cfs_quota_us",
    "cpu/cpu.cfs_period_us",
    "cpuset/cpuset.cpus",
    "cpuset/cpuset.mems",
    "pids/pids.max",
    "devices/devices.list",
  ];
  const limits = (id: string): string[] =>
    FILES.map((path) => {
      const [controller, name] = path.split("/");
      const text = readFileSync(`/sys/fs/cgroup/${controller}/ctr-bun/${id}/${name}`, "utf8");
      return `${name} ${text.trim().split("\n").sort().join(" ")}`;
    });
  const limited = ({ linux }: Config): void => {
    linux.resources.memory = { limit: 64 << 20, swap: 128 << 20 };
    linux.resources.cpu = { shares: 512, quota: 50_000, period: 100_000 };
    linux.resources.pids = { limit: 50 };
  };

  test("leads to the same limits, one after the other", () => {
    const file = join(bundle.path, "resources.json");
    writeFileSync(
      file,
      JSON.stringify({
        memory: { limit: 99_999_744, reservation: 1 << 20 },
        cpu: { shares: 0, cpus: "0", mems: "" },
        pids: { limit: 33 },
        devices: [{ allow: true, access: "rwm" }],
      }),
    );
    const { runc, ours } = both((ask, id) => {
      const after = [limits(id)];
      for (const flags of [
        ["--memory", "32m"],
        ["--memory", "256m", "--memory-swap", "512m", "--memory-reservation", "16m"],
        ["--memory-swap", "-1"],
        ["--memory", "-1"],
        ["--memory", "1.5g"],
        ["--cpu-quota", "20000"],
        ["--cpu-period", "50000"],
        ["--cpu-quota", "-1", "--cpu-period", "200000", "--cpu-share", "300"],
        ["--cpuset-cpus", "0", "--cpuset-mems", "0"],
        ["--pids-limit", "10"],
        ["--pids-limit", "0"],
        ["--pids-limit", "-1"],
        ["--resources", file, "--memory", "1g"],
        [],
      ]) {
        expect(ask("update", ...flags, id)).toMatchObject({ code: 0, out: "" });
        after.push(limits(id));
      }
      return after;
    }, limited);
    expect(ours).toEqual(runc);
    expect(new Set(runc.map(String)).size).toBeGreaterThan(10);
  });

  test("is refused in the same words", () => {
    const { runc, ours } = both((ask, id) => {
      const said = [
        ["--memory", "abc"],
        ["--memory-swap", "5x"],
        ["--cpu-share", "1"],
        ["--l3-cache-schema", "L3:0=f"],
        ["--mem-bw-schema", "MB:0=70"],
      ].map((flags) => ask("update", ...flags, id));
      return [...said, ask("update", "--memory", "1g", "nope"), ask("update", id)];
    }, limited);
    expectSame({ runc, ours });
    // Where the kernel refuses, runc tells the call; ctr-bun the flag and the errno, and puts back what was changed.
    const kernel = both((ask, id) => {
      const before = limits(id);
      const said = [
        "--memory 256m",
        "--memory 64m --memory-swap 32m",
        "--cpuset-cpus 4095",
        "--memory 1k",
      ].map((flags) => ask("update", "--cpu-quota", "30000", ...flags.split(" "), id).code);
      return { said, unchanged: String(limits(id)) === String(before) };
    }, limited);
    expect(kernel.ours.said).toEqual(kernel.runc.said);
    expect(kernel.ours.unchanged).toBe(true);
  });
});

describe("events", () => {
  /** Paths of a JSON value, with the type of what is there; of a list, its first entry's. */
  function shapeOf(value: unknown, path = ""): string[] {
    if (Array.isArray(value)) return value.length === 0 ? [`${path}[]`] : shapeOf(value[0], `${path}[]`);
    if (typeof value !== "object" || value === null)
      return [`${path} ${value === null ? null : typeof value}`];
    const fields = Object.entries(value);
    return fields.length === 0
      ? [`${path}{}`]
      : fields.flatMap(([key, each]) => shapeOf(each, `${path}.${key}`));
  }

  /** Both containers' counters, in that state, without what runc 1.1 does not count yet: pressure, and the killed. */
  function counted(change: (config: Config) => void, verbs: readonly string[]) {
    const { runc, ours } = both((ask, id) => {
      for (const verb of verbs) ask(verb, id);
      // What never was is left out of the JSON: both have used some of everything by then.
      Bun.sleepSync(300);
      const { code, out } = ask("events", "--stats", id);
      expect(code).toBe(0);
      return JSON.parse(out);
    }, change);
    const { data } = ours;
    expect([typeof data.memory.event_count, typeof data.cpu.psi?.some.total]).toEqual(["object", "number"]);
    delete data.memory.event_count;
    for (const section of [data.cpu, data.memory, data.blkio]) delete section.psi;
    return { runc, ours };
  }

  test("have the same fields of the same types, and the same limits", () => {
    const { runc, ours } = counted(
      ({ process, linux }) => {
        process.args = ["sh", "-c", "while :; do :; done"];
        linux.resources.memory = { limit: 64 << 20, swap: 128 << 20 };
        linux.resources.cpu = { shares: 512, quota: 5_000, period: 100_000 };
        linux.resources.pids = { limit: 50 };
      },
      ["start"],
    );
    expect(shapeOf(ours).sort()).toEqual(shapeOf(runc).sort());
    for (const path of ["pids", "cpuset"]) expect(ours.data[path]).toEqual(runc.data[path]);
    for (const kind of ["usage", "swap", "kernel", "kernelTCP"]) {
      expect(ours.data.memory[kind].limit).toBe(runc.data.memory[kind].limit);
    }
  });

  test.each(["created", "running", "paused"])(
    "have the same fields of one without limits that is %s",
    (state) => {
      const verbs = { created: [], running: ["start"], paused: ["start", "pause"] }[state] ?? [];
      const { runc, ours } = counted(({ linux }) => {
        linux.resources = {};
      }, verbs);
      // Before it is started, runc's own init is in there, with its threads and files.
      const shape = (value: unknown) => shapeOf(value).filter((line) => line !== ".data.memory.cache number");
      expect(shape(ours).sort()).toEqual(shape(runc).sort());
      if (state !== "created") expect(ours.data.pids).toEqual(runc.data.pids);
      for (const path of ["cpuset", "hugetlb"]) expect(ours.data[path]).toEqual(runc.data[path]);
    },
  );

  test("are refused in the same words", () => {
    const { runc, ours } = both((ask, id) => {
      ask("start", id);
      const said = [
        ask("events", "--interval", "0", id),
        ask("events", "--interval", "abc", id),
        ask("events", "nope"),
      ];
      ask("kill", id, "KILL");
      for (let tries = 0; tries < 100 && JSON.parse(ask("state", id).out).status !== "stopped"; tries++) {
        Bun.sleepSync(20);
      }
      return [...said, ask("events", id), ask("events", "--stats", id), ask("state", id)];
    });
    expectSame({ runc, ours });
  });
});
