/** Parts of plans that are functions of little: where a program is looked for, capabilities, ways to a path. */
import { describe, expect, test } from "bun:test";
import { O_DIRECTORY, O_PATH, RESOLVE_NO_SYMLINKS, S_IFREG } from "../../../src/kernel/constants.ts";
import { candidates } from "../../../src/plan/execute.ts";
import { limitStep } from "../../../src/plan/identity.ts";
import { baseOf, parentOf, reachRows } from "../../../src/plan/paths.ts";
import { makePlan } from "../../../src/plan/plan.ts";
import { outerStdioStep, stdioStep } from "../../../src/plan/stdio.ts";
import type { Row } from "../../../src/plan/step.ts";
import type { Process } from "../../../src/spec/runtime/config.ts";
import { calls, initSteps, planInput, smallConfig, stepsOf } from "./inputs.ts";

const process = (changes: Partial<Process>): Process => ({
  user: { uid: 0, gid: 0 },
  args: ["prog"],
  cwd: "/",
  ...changes,
});

describe("a program is looked for", () => {
  const files = (program: string, ...env: string[]) => candidates(process({ args: [program], env }));

  test("in every directory of PATH, in order", () => {
    expect(files("ls", "PATH=/bin:/usr/bin")).toEqual(["/bin/ls", "/usr/bin/ls"]);
  });

  test("by its path alone where it has one", () => {
    for (const program of ["/bin/ls", "./ls", "bin/ls"]) expect(files(program, "PATH=/x")).toEqual([program]);
  });

  test("in the working directory where an entry is empty", () => {
    expect(files("ls", "PATH=/bin::/usr/bin:")).toEqual(["/bin/ls", "./ls", "/usr/bin/ls", "./ls"]);
  });

  test("along the last PATH of two, and along the usual one without any", () => {
    expect(files("ls", "PATH=/a", "XPATH=/x", "PATH=/b")).toEqual(["/b/ls"]);
    expect(files("ls", "NOPATH=/a")).toContain("/usr/local/sbin/ls");
    expect(candidates(process({ args: ["ls"] }))).toContain("/bin/ls");
  });
});

test("groups are always set, and before the user gives up the right to", () => {
  const user = stepsOf(
    makePlan(planInput(smallConfig({ process: { user: { uid: 7, gid: 8 } } }))),
    "process.user",
  );
  expect(calls(user[0]?.rows ?? [])).toEqual(["setgroups", "prctl", "setresgid", "setresuid", "prctl"]);
});

test("limits are the program's own, or set from outside where a user namespace could not raise them", () => {
  const limit = { type: "RLIMIT_NOFILE", soft: 1, hard: 18446744073709551615n } as const;
  expect(limitStep(limit, 0, false)).toMatchObject({ on: "init", field: "process.rlimits[0]" });
  const outside = limitStep(limit, 0, true);
  expect(outside).toMatchObject({
    on: "host",
    action: { do: "prlimit", resource: 7, soft: 1n, hard: 18446744073709551615n },
  });
});

test("standard streams change hands only for another user without a terminal", () => {
  const user = { uid: 1000, gid: 0 };
  expect(stdioStep(process({ user }))).toHaveLength(1);
  expect(stdioStep(process({}))).toEqual([]);
  expect(stdioStep(process({ user, terminal: true }))).toEqual([]);
  const maps = [{ containerID: 1000, hostID: 100_000, size: 10 }];
  const [outer] = outerStdioStep(process({ user: { uid: 1003, gid: 0 } }), maps);
  expect(outer?.rows.find(({ call }) => call === "fchown")?.args).toEqual([0, 100_003, -1]);
  expect(outerStdioStep(process({ user: { uid: 1010, gid: 0 } }), maps)).toEqual([]);
  expect(outerStdioStep(process({}), undefined)).toEqual([]);
});

describe("a path in the root is reached", () => {
  const path = ({ args }: Row) => args[1];

  test("by one openat2 where it exists", () => {
    const rows = reachRows({ path: "/a/b", missing: 0, file: false, into: "there" });
    expect(calls(rows)).toEqual(["openat2"]);
    expect(rows[0]?.args.slice(0, 2)).toEqual([{ slot: "root" }, "/a/b"]);
    expect(rows[0]?.store).toBe("there");
  });

  test("by making what is missing, each component opened again from the root", () => {
    const rows = reachRows({ path: "/a/b/c", missing: 2, file: false, into: "there" });
    expect(calls(rows)).toEqual(["openat2", "mkdirat", "openat2", "mkdirat", "openat2"]);
    expect(rows.map(path)).toEqual(["/a", "b", "/a/b", "c", "/a/b/c"]);
    for (const row of rows) {
      const isOpened = row.call === "openat2";
      expect(row.args[0]).toEqual({ slot: isOpened ? "root" : "parent" });
      expect(row.allow).toBe(isOpened ? undefined : "EEXIST");
    }
  });

  test("from the root where all of it is missing, its last component a file where one is wanted", () => {
    const rows = reachRows({ path: "/a/b", missing: 2, file: true, into: "there" });
    expect(calls(rows)).toEqual(["openat2", "mkdirat", "openat2", "mknodat", "openat2"]);
    expect(rows.map(path)).toEqual(["/", "a", "/a", "b", "/a/b"]);
    expect(rows[3]?.args[2]).toBe(S_IFREG | 0o644);
  });

  test("at the root itself by nothing but opening it", () => {
    expect(reachRows({ path: "/", missing: 0, file: false, into: "there" }).map(path)).toEqual(["/"]);
  });

  test("without any link for /proc and /sys, and always without magic links and inside the root", () => {
    for (const strict of [true, false]) {
      for (const { call, args } of reachRows({ path: "/p", missing: 1, file: false, into: "x", strict })) {
        const how = args[2];
        if (call !== "openat2" || typeof how !== "object" || !("bytes" in how)) continue;
        const [flags = 0n, , resolve = 0n] = new BigUint64Array(how.bytes.slice().buffer);
        expect(Number(flags) & O_PATH).toBe(O_PATH);
        expect((Number(resolve) & RESOLVE_NO_SYMLINKS) !== 0).toBe(strict);
        expect(Number(resolve) & 0x12).toBe(0x12);
      }
    }
    expect(O_DIRECTORY).toBe(0o200000);
  });

  test("a path has a parent and a name", () => {
    expect([parentOf("/dev/net/tun"), baseOf("/dev/net/tun")]).toEqual(["/dev/net", "tun"]);
    expect([parentOf("/tun"), baseOf("/tun")]).toEqual(["/", "tun"]);
  });
});

describe("devices", () => {
  const devices = [{ type: "c", path: "/null", major: 1, minor: 3 }] as const;

  test("directly in the root need no directory to be made", () => {
    const [step] = stepsOf(
      makePlan(planInput(smallConfig({ linux: { namespaces: [{ type: "mount" }], devices: [...devices] } }))),
      "linux.devices[0]",
    );
    expect(step?.rows.map(({ call }) => call)).not.toContain("mkdirat");
    expect(step?.rows[0]?.args.slice(0, 2)).toEqual([{ slot: "root" }, "/"]);
  });

  test("take the place of a default one", () => {
    const own = { type: "c", path: "/dev/null", major: 1, minor: 3, fileMode: 0o600 } as const;
    const config = smallConfig({ linux: { namespaces: [{ type: "mount" }], devices: [own] } });
    const abouts = initSteps(makePlan(planInput(config))).filter(({ path }) => path === "/dev/null");
    expect(abouts.map(({ field }) => field)).toEqual(["linux.devices[0]"]);
  });

  test("are bound from the host in a user namespace, which may not make nodes", () => {
    const maps = [{ containerID: 0, hostID: 1000, size: 1 }];
    const namespaces = [{ type: "mount" as const }, { type: "user" as const }];
    const config = smallConfig({ linux: { namespaces, uidMappings: maps, gidMappings: maps } });
    const rows = stepsOf(makePlan(planInput(config)), "linux.devices").flatMap((step) => step.rows);
    expect(rows.some(({ call, args }) => call === "open_tree" && args[1] === "/dev/null")).toBe(true);
    for (const { call, args } of rows)
      if (call === "mknodat") expect(Number(args[2]) & S_IFREG).toBe(S_IFREG);
  });

  test("are made in what lies at /dev, not in a mount that is only changed there", () => {
    const mounts = [
      { destination: "/dev", type: "tmpfs", source: "tmpfs" },
      { destination: "/dev", options: ["remount", "nosuid"] },
    ];
    const config = smallConfig({ mounts, linux: { namespaces: [{ type: "mount" }] } });
    const step = stepsOf(makePlan(planInput(config)), "linux.devices")[0];
    expect(step?.rows[0]?.args.slice(0, 2)).toEqual([{ slot: "mount0" }, "null"]);
  });

  test("are left as they are where /dev is a bind mount", () => {
    const mounts = [{ destination: "/dev", source: "/dev", options: ["rbind"] }];
    const config = smallConfig({ mounts, linux: { namespaces: [{ type: "mount" }] } });
    expect(stepsOf(makePlan(planInput(config)), "linux.devices")).toEqual([]);
  });
});
