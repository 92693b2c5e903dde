// What one task has, for run and exec, in a user namespace too: a session of its own, groups, umask, limits, no_new_privs.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { type Bundle, CTR_BUN, freshID, makeBundle, runCommand } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
});
afterAll(() => bundle.dispose());

const SHOW =
  "id -G; umask; ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj; grep NoNewPrivs /proc/self/status | tr -d '\\t'";
const SHOWN = "100 7 8\n0027\n123\n456\n321\nNoNewPrivs:1\n";

function plain({ process }: Config): void {
  process.user = { uid: 1000, gid: 100, additionalGids: [7, 8], umask: 0o27 } as never;
  process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 123, hard: 456 }];
  process.oomScoreAdj = 321;
}

function inUserNamespace(config: Config): void {
  plain(config);
  config.linux.namespaces.push({ type: "user" });
  config.linux.uidMappings = config.linux.gidMappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
}

for (const [name, change] of Object.entries({ plain, inUserNamespace })) {
  test(`groups, umask, limits, OOM score and no_new_privs, of run and exec: ${name}`, () => {
    expect(bundle.run(["sh", "-c", SHOW], change)).toEqual({ code: 0, out: SHOWN, err: "" });
    const id = freshID();
    bundle.configure(["sleep", "100"], change);
    expect(bundle.ctr("run", "--detach", "--bundle", bundle.path, id).code).toBe(0);
    try {
      expect(bundle.ctr("exec", id, "sh", "-c", SHOW)).toEqual({ code: 0, out: SHOWN, err: "" });
    } finally {
      bundle.ctr("delete", "--force", id);
    }
  });
}

for (const [name, change] of Object.entries({ plain, inUserNamespace })) {
  test(`limits that leave the init itself no room are the hook's and the program's: ${name}`, () => {
    const configure = (hook: string) =>
      bundle.configure(["sh", "-c", 'test "$(ulimit -n) $(ulimit -f)" = "5 0"'], (config) => {
        change(config);
        config.process.rlimits = [
          { type: "RLIMIT_NOFILE", soft: 5, hard: 5 },
          { type: "RLIMIT_FSIZE", soft: 0, hard: 0 },
        ];
        const args = ["sh", "-c", `ulimit -n; ulimit -f; ${hook}`];
        config.hooks = { startContainer: [{ path: "/bin/sh", args }] };
      });
    const start = () => {
      const id = freshID();
      try {
        expect(bundle.ctr("create", "--bundle", bundle.path, id)).toMatchObject({ code: 0, err: "" });
        return bundle.ctr("start", id);
      } finally {
        bundle.ctr("delete", "--force", id);
      }
    };
    configure("exit 3");
    expect(start().err).toContain("the hook ended with 3: 5\n0");
    configure("true");
    expect(start()).toMatchObject({ code: 0, err: "" });
    expect(bundle.ctr("run", "--bundle", bundle.path, freshID())).toEqual({ code: 0, out: "", err: "" });
  });
}

test("a session of its own, always, so that no terminal of the host can be typed into (TIOCSTI)", () => {
  // proc_pid_stat(5): the session is the sixth field.
  const session = [
    "sh",
    "-c",
    "read -r pid name state parent group session rest </proc/$$/stat; test $session = $$ && echo own",
  ];
  expect(bundle.run(session)).toEqual({ code: 0, out: "own\n", err: "" });
  const id = freshID();
  bundle.configure(["sleep", "100"]);
  expect(bundle.ctr("run", "--detach", "--bundle", bundle.path, id).code).toBe(0);
  try {
    expect(bundle.ctr("exec", id, ...session)).toEqual({ code: 0, out: "own\n", err: "" });
  } finally {
    bundle.ctr("delete", "--force", id);
  }
});

test("a umask that nobody names: 0022 for the container, that of its caller for exec, or else the container's", () => {
  const shown = (umask?: number) => {
    const id = freshID();
    bundle.configure(["sh", "-c", "umask >/dev/shm/umask; sleep 100"], ({ process }) => {
      if (umask !== undefined) process.user = { uid: 0, gid: 0, umask } as never;
    });
    const file = `${bundle.path}/process.json`;
    const command = { args: ["sh", "-c", "umask"], env: ["PATH=/bin"], cwd: "/", user: { uid: 0, gid: 0 } };
    writeFileSync(file, JSON.stringify(command));
    const ctr = `${CTR_BUN} --root ${bundle.state}`;
    const script = `umask 077; ${ctr} run --detach --bundle ${bundle.path} ${id} && for i in 1 2 3 4 5 6 7 8 9; do ${ctr} exec ${id} test -s /dev/shm/umask && break; sleep 0.1; done; ${ctr} exec ${id} cat /dev/shm/umask; ${ctr} exec ${id} sh -c umask; ${ctr} exec --process ${file} ${id}`;
    try {
      return runCommand(["sh", "-c", script]).out.split("\n").filter(Boolean);
    } finally {
      bundle.ctr("delete", "--force", id);
    }
  };
  expect(shown()).toEqual(["0022", "0077", "0077"]);
  expect(shown(0o27)).toEqual(["0027", "0027", "0027"]);
});

describe("what takes a capability that ctr-bun does not have is an error that says which", () => {
  const cases: Record<string, { without: string; change: (config: Config) => void; error: RegExp }> = {
    "a lower OOM score": {
      without: "sys_resource",
      change: ({ process }) => {
        process.oomScoreAdj = -1000;
      },
      error: /process\.oomScoreAdj: cannot set oom_score_adj to -1000: .*EACCES\)\n {2}.* CAP_SYS_RESOURCE/,
    },
    "a higher hard limit": {
      without: "sys_resource",
      change: ({ process }) => {
        process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 10, hard: 2 ** 40 }];
      },
      error:
        /process\.rlimits\[0\]: cannot set RLIMIT_NOFILE .*EPERM\)\n {2}.* CAP_SYS_RESOURCE, .* fs\.nr_open/,
    },
    "clocks of a time namespace": {
      without: "sys_time",
      change: ({ linux }) => {
        linux.namespaces.push({ type: "time" });
        linux.timeOffsets = { boottime: { secs: 5 } };
      },
      error: /linux\.timeOffsets: cannot set .*EPERM\)\n {2}.* CAP_SYS_TIME/,
    },
    "maps of a user namespace": {
      without: "setgid",
      change: inUserNamespace,
      error: /linux\.gidMappings: .*EPERM\)\n {2}.*CAP_SETGID/,
    },
  };
  for (const [name, { without, change, error }] of Object.entries(cases)) {
    test(name, () => {
      bundle.configure(["true"], change);
      const command = [CTR_BUN, "--root", bundle.state, "run", "--bundle", bundle.path, freshID()];
      const run = runCommand(["setpriv", `--bounding-set=-${without}`, ...command]);
      expect({ code: run.code, err: run.err }).toEqual({ code: 1, err: expect.stringMatching(error) });
    });
  }
});
