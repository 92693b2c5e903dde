// What the kernel shows of a container's scheduler, I/O priority, CPUs, memory policy and personality, read from outside
// with the tools of util-linux, and of what exec puts beside it.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { type Bundle, CTR_BUN, freshID, makeBundle, type Result, runCommand } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
});
afterAll(() => bundle.dispose());

/** A container of `sleep`, made by `wrap CTR-BUN run --detach`, for as long as `use` takes. */
function withContainer(
  change: (config: Config) => void,
  use: (pid: number, id: string, run: Result) => void,
  wrap: string[] = [],
): void {
  const id = freshID();
  bundle.configure(["sleep", "100"], change);
  const command = [CTR_BUN, "--root", bundle.state, "run", "--detach", "--bundle", bundle.path, id];
  const run = runCommand([...wrap, ...command]);
  try {
    expect({ code: run.code, out: run.out }).toEqual({ code: 0, out: "" });
    use(JSON.parse(bundle.ctr("state", id).out).pid, id, run);
  } finally {
    bundle.ctr("delete", "--force", id);
  }
}

/** In a user namespace, where a process may set none of this by itself. */
function inUserNamespace({ linux }: Config): void {
  linux.namespaces.push({ type: "user" });
  linux.uidMappings = linux.gidMappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
}

const chrt = (pid: number) => runCommand(["chrt", "-p", `${pid}`]).out.replaceAll(/pid \d+'s current /g, "");
const nice = (pid: number) =>
  Number(
    readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ")[16],
  );
const allowedCpus = (text: string) => /Cpus_allowed_list:\s*(\S+)/.exec(text)?.[1];
const last = cpus().length - 1;
const all = last === 0 ? "0" : `0-${last}`;

describe("scheduler", () => {
  test("policy and nice value are the container's, and those of what exec runs in it", () => {
    const change = ({ process }: Config) => {
      process.scheduler = { policy: "SCHED_BATCH", nice: 5 };
    };
    withContainer(change, (pid, id) => {
      expect(chrt(pid)).toBe("scheduling policy: SCHED_BATCH\nscheduling priority: 0\n");
      expect(nice(pid)).toBe(5);
      expect(
        bundle
          .ctr("exec", id, "sh", "-c", "cat /proc/self/stat")
          .out.replace(/^.*\) /, "")
          .split(" ")[16],
      ).toBe("5");
    });
  });

  test("a nice value below the caller's works in a user namespace too", () => {
    const change = (config: Config) => {
      inUserNamespace(config);
      config.process.scheduler = { policy: "SCHED_OTHER", nice: -7 };
    };
    withContainer(change, (pid) => expect(nice(pid)).toBe(-7));
  });

  test("SCHED_DEADLINE and startContainer hooks go together where what is forked is reset", () => {
    const id = freshID();
    const times = { runtime: 1_000_000, deadline: 20_000_000, period: 30_000_000 };
    const run = (flags: string[]) => {
      bundle.configure(["true"], (config) => {
        config.process.scheduler = { policy: "SCHED_DEADLINE", ...times, flags };
        Object.assign(config, { hooks: { startContainer: [{ path: "/bin/true" }] } });
      });
      return bundle.ctr("run", "--bundle", bundle.path, id);
    };
    expect(run(["SCHED_FLAG_RESET_ON_FORK"])).toEqual({ code: 0, out: "", err: "" });
    expect(run([]).err).toContain('a process may not fork\n  add "SCHED_FLAG_RESET_ON_FORK"');
  });

  test("SCHED_DEADLINE has its times and flags", () => {
    const change = (config: Config) => {
      inUserNamespace(config);
      const times = { runtime: 1_000_000, deadline: 20_000_000, period: 30_000_000 };
      config.process.scheduler = {
        policy: "SCHED_DEADLINE",
        flags: ["SCHED_FLAG_RESET_ON_FORK"],
        ...times,
      };
    };
    withContainer(change, (pid) => {
      expect(chrt(pid)).toBe(
        "scheduling policy: SCHED_DEADLINE|SCHED_RESET_ON_FORK\nscheduling priority: 0\nruntime/deadline/period parameters: 1000000/20000000/30000000\n",
      );
    });
  });

  const RT = "/sys/fs/cgroup/cpu/cpu.rt_runtime_us";
  test.skipIf(!existsSync(RT))("SCHED_FIFO has its priority, where its cgroup may be real-time", () => {
    const path = `/test-rt-${process.pid}`;
    const change = ({ process, linux }: Config) => {
      linux.cgroupsPath = path;
      linux.resources.cpu = { realtimeRuntime: 1000, realtimePeriod: 1_000_000 };
      process.scheduler = { policy: "SCHED_FIFO", priority: 10 };
    };
    withContainer(change, (pid) => {
      expect(chrt(pid)).toBe("scheduling policy: SCHED_FIFO\nscheduling priority: 10\n");
    });
    for (const name of readdirSync("/sys/fs/cgroup")) {
      const left = join("/sys/fs/cgroup", name, path);
      if (existsSync(left)) rmdirSync(left);
    }
  });

  test("what the kernel refuses is an error with the property, the call and a way out, and nothing is left", () => {
    const refused = bundle.run(["true"], ({ process }) => {
      process.scheduler = { policy: "SCHED_RR" };
    });
    expect(refused.code).toBe(1);
    expect(refused.err).toContain(
      "process.scheduler: cannot schedule it as SCHED_RR: invalid argument (sched_setattr: EINVAL)\n",
    );
    expect(refused.err).toContain("SCHED_FIFO and SCHED_RR take a priority from 1 to 99");
    expect(bundle.ctr("list", "-q").out).toBe("");
  });
});

test("the I/O priority is the container's, and real-time in a user namespace too", () => {
  const classes = [
    ["IOPRIO_CLASS_RT", 3, "realtime: prio 3\n"],
    ["IOPRIO_CLASS_BE", 6, "best-effort: prio 6\n"],
    ["IOPRIO_CLASS_IDLE", 0, "idle\n"],
  ] as const;
  for (const [name, priority, shown] of classes) {
    const change = (config: Config) => {
      inUserNamespace(config);
      config.process.ioPriority = { class: name, priority };
    };
    withContainer(change, (pid) => expect(runCommand(["ionice", "-p", `${pid}`]).out).toBe(shown));
  }
});

describe.skipIf(last === 0)("CPUs", () => {
  const status = ["grep", "Cpus_allowed_list", "/proc/self/status"];

  test("of what exec runs are the final ones, and never those of the container's own process", () => {
    const change = ({ process }: Config) => {
      process.execCPUAffinity = { initial: "0", final: "1" };
    };
    withContainer(change, (pid, id) => {
      expect(allowedCpus(readFileSync(`/proc/${pid}/status`, "utf8"))).toBe(all);
      expect(allowedCpus(bundle.ctr("exec", id, ...status).out)).toBe("1");
    });
  });

  test("of what exec runs are left as they were at first, where no final ones are given", () => {
    const change = ({ process }: Config) => {
      process.execCPUAffinity = { initial: "0" };
    };
    withContainer(change, (_pid, id) => {
      expect(allowedCpus(bundle.ctr("exec", id, ...status).out)).toBe("0");
    });
  });

  test("that nobody has are an error of exec", () => {
    const change = ({ process }: Config) => {
      process.execCPUAffinity = { final: "4000" };
    };
    withContainer(change, (_pid, id) => {
      const { code, err } = bundle.ctr("exec", id, ...status);
      expect(code).toBe(255);
      expect(err).toContain("process.execCPUAffinity.final: cannot run on the CPUs 4000: invalid argument");
    });
  });

  test("of a cpuset are all the container's, whatever its caller was held to", () => {
    const change = ({ linux }: Config) => {
      linux.resources.cpu = { cpus: all };
    };
    const use = (pid: number, id: string) => {
      expect(allowedCpus(readFileSync(`/proc/${pid}/status`, "utf8"))).toBe(all);
      const held = runCommand([
        ...["taskset", "-c", "0"],
        ...[CTR_BUN, "--root", bundle.state, "exec", id, ...status],
      ]);
      expect(allowedCpus(held.out)).toBe(all);
    };
    withContainer(change, use, ["taskset", "-c", "0"]);
  });
});

describe.skipIf(!existsSync("/proc/self/numa_maps"))("memory policy", () => {
  const policyOf = (pid: number) =>
    readFileSync(`/proc/${pid}/numa_maps`, "utf8").split("\n", 1)[0]?.split(" ")[1];

  test("is the container's, with its nodes and flags, and that of what exec runs in it", () => {
    const change = ({ linux }: Config) => {
      linux.memoryPolicy = { mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_STATIC_NODES"] };
    };
    withContainer(change, (pid, id) => {
      expect(policyOf(pid)).toBe("bind=static:0");
      expect(bundle.ctr("exec", id, "head", "-n1", "/proc/self/numa_maps").out).toMatch(
        /^\S+ bind=static:0 /,
      );
    });
  });

  test("may be every mode", () => {
    const modes = [
      [{ mode: "MPOL_DEFAULT" }, "default"],
      [{ mode: "MPOL_LOCAL" }, "local"],
      [{ mode: "MPOL_PREFERRED", nodes: "0" }, "prefer:0"],
      [{ mode: "MPOL_INTERLEAVE", nodes: "0-3" }, "interleave:0"],
    ] as const;
    for (const [memoryPolicy, shown] of modes) {
      const change = (config: Config) => {
        inUserNamespace(config);
        config.linux.memoryPolicy = memoryPolicy;
      };
      withContainer(change, (pid) => expect(policyOf(pid)).toBe(shown));
    }
  });

  test("of nodes that are not there is an error", () => {
    const { code, err } = bundle.run(["true"], ({ linux }) => {
      linux.memoryPolicy = { mode: "MPOL_BIND", nodes: "1000" };
    });
    expect(code).toBe(1);
    expect(err).toContain(
      "linux.memoryPolicy: cannot take memory by MPOL_BIND from the nodes 1000: invalid argument (set_mempolicy: EINVAL)\n  none of the nodes is there",
    );
  });
});

test("the personality is the container's and its exec's, and its flags are ignored with a warning", () => {
  const change = ({ linux }: Config) => {
    linux.personality = { domain: "LINUX32", flags: ["ADDR_NO_RANDOMIZE"] };
  };
  withContainer(change, (pid, id, { err }) => {
    expect(readFileSync(`/proc/${pid}/personality`, "utf8")).toBe("00000008\n");
    expect(bundle.ctr("exec", id, "cat", "/proc/self/personality").out).toBe("00000008\n");
    expect(err).toBe(
      "ctr-bun: warning: linux.personality.flags: no flag is supported, ignored: ADDR_NO_RANDOMIZE\n",
    );
  });
});

test("a filter that forbids these calls is no reason to refuse them: they are made before it", () => {
  const names = ["personality", "set_mempolicy", "sched_setaffinity", "sched_setattr", "ioprio_set"];
  for (const noNewPrivileges of [true, false]) {
    const { code, out, err } = bundle.run(["cat", "/proc/self/personality"], ({ process, linux }) => {
      process.noNewPrivileges = noNewPrivileges;
      process.scheduler = { policy: "SCHED_BATCH" };
      process.ioPriority = { class: "IOPRIO_CLASS_IDLE" };
      linux.personality = { domain: "LINUX32" };
      linux.memoryPolicy = { mode: "MPOL_LOCAL" };
      linux.seccomp = {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [{ names, action: "SCMP_ACT_KILL_PROCESS" }],
      };
    });
    expect({ code, out, err }).toEqual({ code: 0, out: "00000008\n", err: "" });
  }
});
