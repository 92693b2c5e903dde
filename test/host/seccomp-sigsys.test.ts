// What is said of a container that SIGSYS ends: at the OCI level, of exec, of an init, and by the engine's words.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import type { LinuxSeccomp } from "../../src/spec/runtime/seccomp.ts";
import { type Bundle, CTR_BUN, freshID, makeBundle, type Result, runCommand } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";
import { callsOf, compileCalls } from "../support/seccomp/program.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
  compileCalls(bundle.rootfs, [64]);
  symlinkSync("calls64", join(bundle.rootfs, 'a "b"'));
});
afterAll(() => bundle.dispose());

const call = callsOf(64);
const SWAPON = call("call", "swapon");
const profile = (action: LinuxSeccomp["defaultAction"], more: Partial<LinuxSeccomp> = {}): LinuxSeccomp => ({
  defaultAction: "SCMP_ACT_ALLOW",
  syscalls: [{ names: ["swapon"], action }],
  ...more,
});

const DROPPED = /of many such messages in a short time/;

/** Of many lines in a short time the kernel's log keeps ten in five seconds: then the next ones are waited for. */
async function logged(work: () => Result, dropped = DROPPED): Promise<Result> {
  for (let tries = 0; ; tries++) {
    const result = work();
    if (tries === 3 || !dropped.test(result.err)) return result;
    await Bun.sleep(5100);
  }
}

const run = (args: string[], seccomp: LinuxSeccomp | undefined, change?: (config: Config) => void) =>
  logged(() =>
    bundle.run(args, (config) => {
      if (seccomp !== undefined) config.linux.seccomp = seccomp;
      change?.(config);
    }),
  );

const said = (text: string): string =>
  `ctr-bun: warning: the container's program was killed by SIGSYS ${text}\n`;

test("which call, by which rule, and how to allow it", async () => {
  expect(await run(["/calls64", SWAPON], profile("SCMP_ACT_KILL_PROCESS"))).toEqual({
    code: 159,
    out: "",
    err: said(
      'when "calls64" called swapon: linux.seccomp.syscalls[0] has SCMP_ACT_KILL_PROCESS for it; ' +
        "to allow it, take swapon out of linux.seccomp.syscalls[0]",
    ),
  });
});

test("by the default, and of a program with a name that the log escapes", async () => {
  const { err } = await run(['/a "b"', SWAPON], {
    defaultAction: "SCMP_ACT_KILL_THREAD",
    syscalls: [{ names: ["execve", "write", "mount"], action: "SCMP_ACT_ALLOW" }],
  });
  // The C library's first call: which one it is, is its own affair.
  const name = / called (\w+):/.exec(err)?.[1];
  expect(err).toBe(
    said(
      `when "a \\"b\\"" called ${name}: linux.seccomp.defaultAction has SCMP_ACT_KILL_THREAD for it; ` +
        `to allow it, add {"names":["${name}"],"action":"SCMP_ACT_ALLOW"} to linux.seccomp.syscalls`,
    ),
  );
});

test("of an architecture that is not covered", async () => {
  const x32 = call("call", 0x4000_0000 | call.number("getppid"), [], "x32");
  expect(await run(["/calls64", x32], profile("SCMP_ACT_ERRNO"))).toMatchObject({
    code: 159,
    err: said(
      'when "calls64" called getppid of x32: linux.seccomp.architectures does not have its architecture; ' +
        "to allow it, add SCMP_ARCH_X32 to linux.seccomp.architectures",
    ),
  });
});

test("of a filter that is the program's own, in a container with a profile or without", async () => {
  for (const seccomp of [undefined, profile("SCMP_ACT_ERRNO")]) {
    expect(
      await run(["/calls64", call("filter", "getppid"), call("call", "getppid")], seccomp),
    ).toMatchObject({
      code: 159,
      err: said(
        'when "calls64" called getppid: not by linux.seccomp, but by a filter of its own, ' +
          "or one that ctr-bun itself runs under",
      ),
    });
  }
});

test("of SCMP_ACT_TRAP, which is in the log when that is asked for", async () => {
  expect(await run(["/calls64", SWAPON], profile("SCMP_ACT_TRAP"))).toEqual({
    code: 159,
    out: "",
    err: said(
      "and the kernel's log does not say for which call: SCMP_ACT_TRAP is logged only with " +
        "SECCOMP_FILTER_FLAG_LOG in linux.seccomp.flags",
    ).replace("SIGSYS and", "SIGSYS, and"),
  });
  const flags: LinuxSeccomp["flags"] = ["SECCOMP_FILTER_FLAG_LOG"];
  const { err } = await run(["/calls64", SWAPON], profile("SCMP_ACT_TRAP", { flags }));
  expect(err).toContain('when "calls64" called swapon: linux.seccomp.syscalls[0] has SCMP_ACT_TRAP for it;');
});

test("of a shell whose program it ended, which the shell tells by its exit code alone", async () => {
  const work = () =>
    bundle.run(["sh", "-c", `/calls64 ${SWAPON}; exit $?`], ({ linux }) => {
      linux.seccomp = profile("SCMP_ACT_KILL_PROCESS");
    });
  const { code, err } = await logged(work, /^(?!.*ctr-bun)/s);
  expect({ code, err: err.split("\n").filter((line) => line.startsWith("ctr-bun")) }).toEqual({
    code: 159,
    err: [
      "ctr-bun: warning: exit code 159 stands for SIGSYS, which has killed a process " +
        'when "calls64" called swapon: linux.seccomp.syscalls[0] has SCMP_ACT_KILL_PROCESS for it; ' +
        "to allow it, take swapon out of linux.seccomp.syscalls[0]",
    ],
  });
});

test("of an init, before there is a program", async () => {
  const { code, err } = await run(
    ["true"],
    {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [
        {
          // A report of the init has 12 bytes.
          names: ["write"],
          action: "SCMP_ACT_KILL_PROCESS",
          args: [{ index: 2, value: 12, op: "SCMP_CMP_EQ" }],
        },
      ],
    },
    ({ process }) => {
      process.noNewPrivileges = false;
    },
  );
  expect({ code, err }).toEqual({
    code: 1,
    err:
      "ctr-bun: linux.seccomp: the container's init was killed by signal 31 before the program started\n" +
      '  it was killed by SIGSYS when "ctr-init" called write: linux.seccomp.syscalls[0] has ' +
      "SCMP_ACT_KILL_PROCESS for it; to allow it, take write out of linux.seccomp.syscalls[0]\n",
  });
});

test("of a program of exec, and not of the container", async () => {
  bundle.configure(["sleep", "100"], ({ linux }) => {
    linux.seccomp = profile("SCMP_ACT_KILL_PROCESS");
  });
  const id = freshID();
  expect(bundle.ctr("run", "--detach", "--bundle", bundle.path, id).code).toBe(0);
  try {
    const { code, err } = await logged(() => bundle.ctr("exec", id, "/calls64", SWAPON));
    expect({ code, err }).toEqual({
      code: 159,
      err: said(
        'when "calls64" called swapon: linux.seccomp.syscalls[0] has SCMP_ACT_KILL_PROCESS for it; ' +
          "to allow it, take swapon out of linux.seccomp.syscalls[0]",
      ).replace("the container's program", "the program"),
    });
  } finally {
    bundle.ctr("delete", "--force", id);
  }
});

test("in the file of --log, where engines read it", async () => {
  bundle.configure(["/calls64", SWAPON], ({ linux }) => {
    linux.seccomp = profile("SCMP_ACT_KILL_PROCESS");
  });
  const file = join(bundle.path, "log");
  const { err } = await logged(() => {
    rmSync(file, { force: true });
    const result = bundle.ctr(
      "--log",
      file,
      "--log-format",
      "json",
      "run",
      "--bundle",
      bundle.path,
      freshID(),
    );
    expect(result.err).toBe("");
    return { ...result, err: readFileSync(file, "utf8") };
  });
  const { level, msg } = JSON.parse(err);
  expect({ level, msg }).toMatchObject({ level: "warning", msg: expect.stringContaining("called swapon") });
});

test("nothing of a program that ends with 159 for reasons of its own, or lives with a dead thread", async () => {
  expect(await run(["sh", "-c", "exit 159"], profile("SCMP_ACT_ERRNO"))).toEqual({
    code: 159,
    out: "",
    err: "",
  });
  expect(await run(["sh", "-c", "exit 159"], undefined)).toEqual({ code: 159, out: "", err: "" });
  const thread = call("thread", "swapon");
  expect(await run(["/calls64", thread], profile("SCMP_ACT_KILL_THREAD"))).toEqual({
    code: 0,
    out: "swapon gone\n",
    err: "",
  });
});

test("where the log cannot be read: what that takes", async () => {
  bundle.configure(["/calls64", SWAPON], ({ linux }) => {
    linux.seccomp = profile("SCMP_ACT_KILL_PROCESS");
  });
  const line = [CTR_BUN, "--root", bundle.state, "run", "--bundle", bundle.path, freshID()];
  const { code, err } = await logged(() => runCommand(["setpriv", "--bounding-set=-syslog", ...line]));
  const isRestricted = readFileSync("/proc/sys/kernel/dmesg_restrict", "utf8") === "1\n";
  expect(code).toBe(159);
  expect(err).toContain(
    isRestricted
      ? "cannot be read (syslog: EPERM): it takes CAP_SYSLOG, or sysctl kernel.dmesg_restrict=0\n"
      : "called swapon",
  );
});
