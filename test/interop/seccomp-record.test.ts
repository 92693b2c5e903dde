/**
 * `ctr-bun seccomp record`: real containers, call by call, and again under what was recorded. Needs gcc, and strace,
 * which is the reference for which calls a program makes. Calls of 32-bit programs: test/unit/seccomp/record.test.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LinuxSeccomp } from "../../src/spec/runtime/seccomp.ts";
import { type Bundle, CTR_BUN, freshID, makeBundle, type Result, runCommand } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";
import { newWorld, type World } from "./engine-setup.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
  const source = join(import.meta.dir, "../support/seccomp/work.c");
  const built = runCommand(["gcc", "-static", "-Wall", "-Werror", "-o", join(bundle.rootfs, "work"), source]);
  expect(built).toMatchObject({ code: 0, err: "" });
});
afterAll(() => bundle.dispose());

/** Records a program in the bundle. */
function record(args: string[], change?: (config: Config) => void): Result & { profile: LinuxSeccomp } {
  const file = join(bundle.path, "recorded.json");
  rmSync(file, { force: true });
  bundle.configure(args, change);
  const result = runCommand([CTR_BUN, "seccomp", "record", "--quiet", "-o", file, "--bundle", bundle.path]);
  if (!existsSync(file)) throw new Error(result.err);
  return { ...result, profile: JSON.parse(readFileSync(file, "utf8")) };
}

/** Runs it again under the profile: with run, then with create and start. */
function again(args: string[], profile: LinuxSeccomp, change?: (config: Config) => void): Result {
  const under = (config: Config): void => {
    change?.(config);
    config.linux.seccomp = profile;
  };
  const ran = bundle.run(args, under);
  const id = freshID();
  expect(bundle.ctr("create", "--bundle", bundle.path, id)).toMatchObject({ code: 0, err: "" });
  expect(bundle.ctr("start", id)).toMatchObject({ code: 0, err: "" });
  expect(bundle.ctr("delete", "--force", id)).toMatchObject({ code: 0 });
  return ran;
}

const namesOf = ({ syscalls = [] }: LinuxSeccomp): string[] => syscalls[0]?.names ?? [];

describe("a bundle's run", () => {
  test("is recorded as the calls that it made, sorted, in one rule", () => {
    const script = "cat /etc/group; mkdir /tmp/new; id -u";
    writeFileSync(join(bundle.rootfs, "etc/group"), "nobody:x:1:\n");
    const { code, out, err, profile } = record(["sh", "-c", script], (config) => {
      config.root.readonly = false;
    });
    expect({ code, out, err }).toEqual({ code: 0, out: "nobody:x:1:\n0\n", err: "" });
    rmSync(join(bundle.rootfs, "tmp/new"), { recursive: true });
    const { syscalls, ...rest } = profile;
    expect(rest).toEqual({
      defaultAction: "SCMP_ACT_ERRNO",
      defaultErrnoRet: 1,
      architectures: ["SCMP_ARCH_X86_64"],
    });
    expect(syscalls).toEqual([{ names: [...namesOf(profile)].sort(), action: "SCMP_ACT_ALLOW" }]);

    const trace = join(bundle.path, "trace");
    const chroot = ["chroot", bundle.rootfs, "/bin/sh", "-c", script];
    expect(
      runCommand(["strace", "-f", "-qq", "-o", trace, ...chroot], {
        env: { PATH: "/usr/sbin:/usr/bin:/bin" },
      }),
    ).toMatchObject({ code: 0, out });
    rmSync(join(bundle.rootfs, "tmp/new"), { recursive: true });
    // What chroot(1) itself does comes before the second execve.
    const lines = readFileSync(trace, "utf8").split("\n");
    const from = lines.findIndex((line, index) => index > 0 && line.includes("execve("));
    const traced = new Set(lines.slice(from).flatMap((line) => /^\d+ +(\w+)\(/.exec(line)?.[1] ?? []));
    expect(namesOf(profile)).toEqual([...traced].sort());
  });

  test.each([
    ["with", true],
    ["without", false],
  ])(
    "with threads, children, exec and signals is not disturbed, and runs again under its profile, %s no_new_privs",
    (_, noNewPrivileges) => {
      const change = (config: Config): void => {
        config.process.noNewPrivileges = noNewPrivileges;
      };
      const said = "read 1, turns 800, ticked 1, ends 0 300 f\n";
      const first = record(["/work"], change);
      expect(first).toMatchObject({ code: 7, out: said, err: "" });
      for (const name of ["clone", "execve", "getppid", "exit_group", "kill", "rt_sigaction"]) {
        expect(namesOf(first.profile)).toContain(name);
      }
      expect(namesOf(first.profile)).not.toContain("mkdir");
      expect(again(["/work"], first.profile, change)).toMatchObject({ code: 7, out: said, err: "" });
    },
  );

  test("needs every name that was recorded: without one of them it is another run", () => {
    const script = "echo $(cat /etc/group | wc -l)";
    const { profile, out } = record(["sh", "-c", script]);
    expect(out).toBe("1\n");
    const essential = ["write", "read", "clone", "execve", "pipe2", "dup2", "openat", "mmap"].filter((name) =>
      namesOf(profile).includes(name),
    );
    expect(essential.length).toBeGreaterThan(5);
    for (const name of essential) {
      const less = {
        ...profile,
        syscalls: [
          { names: namesOf(profile).filter((each) => each !== name), action: "SCMP_ACT_ALLOW" as const },
        ],
      };
      const { code, out: said } = bundle.run(["sh", "-c", script], (config) => {
        config.linux.seccomp = less;
      });
      expect({ name, same: code === 0 && said === out }).toEqual({ name, same: false });
    }
  });

  test("under the bundle's own profile gets that one's answers, and no call more than it allows", () => {
    const script = "mkdir /tmp/refused; rmdir /tmp/refused; echo $?";
    const own = {
      defaultAction: "SCMP_ACT_ALLOW",
      flags: [],
      syscalls: [
        { names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 28 },
        { names: ["rmdir"], action: "SCMP_ACT_ERRNO" },
      ],
    };
    const change = (config: Config): void => {
      config.linux.seccomp = own;
    };
    const first = record(["sh", "-c", script], change);
    expect(first).toMatchObject({ code: 0, out: "1\n" });
    expect(first.err).toContain("No space left on device");
    expect(first.err).toContain("Operation not permitted");
    const [, errnos] = first.profile.syscalls ?? [];
    expect(errnos).toEqual({ names: ["mkdir"], action: "SCMP_ACT_ERRNO", errnoRet: 28 });
    expect(first.profile.flags).toEqual([]);
    expect(namesOf(first.profile)).not.toContain("rmdir");
    expect(again(["sh", "-c", script], first.profile)).toMatchObject({ code: 0, out: "1\n", err: first.err });
  });

  test("that a signal ends is written as well, and nothing is left of it", async () => {
    const file = join(bundle.path, "recorded.json");
    rmSync(file, { force: true });
    bundle.configure(["sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done"]);
    const child = Bun.spawn([CTR_BUN, "seccomp", "record", "-o", file, "--bundle", bundle.path], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const reader = child.stdout.getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("ready\n");
    child.kill("SIGTERM");
    expect(await child.exited).toBe(5);
    expect(await new Response(child.stderr).text()).toMatch(
      /^ctr-bun: \d+ system calls are allowed in .*\n$/,
    );
    expect(namesOf(JSON.parse(readFileSync(file, "utf8")))).toContain("rt_sigaction");
    const left = existsSync("/run/ctr-bun/oci") ? readdirSync("/run/ctr-bun/oci") : [];
    expect(left.filter((name) => name.startsWith("record-"))).toEqual([]);
  });

  test("that cannot begin writes nothing", () => {
    const file = join(bundle.path, "nothing.json");
    bundle.configure(["/no/such/program"]);
    const result = runCommand([CTR_BUN, "seccomp", "record", "-o", file, "--bundle", bundle.path]);
    expect(result).toMatchObject({ code: 127, out: "" });
    expect(result.err).toContain("/no/such/program");
    expect(existsSync(file)).toBe(false);
  });
});

describe("an image's run", () => {
  let world: World;
  beforeAll(async () => {
    world = await newWorld();
  });
  afterAll(async () => await world.end());

  test("is recorded within the default profile, and runs again under the record", async () => {
    const script = "unshare -m true 2>/dev/null || echo refused; ls /etc | grep -c passwd; exit 4";
    const args = ["--rm", "--quiet", world.plain, "sh", "-c", script];
    const file = join(world.scratch, "image.json");
    const first = await world.ctr("seccomp", "record", "-o", file, ...args);
    expect(first).toEqual({ code: 4, stdout: "refused\n1\n", stderr: "" });
    const again = await world.ctr("run", "--security-opt", `seccomp=${file}`, ...args);
    expect(again).toEqual(first);
    const { stdout } = await world.ctr("seccomp", "diff", "--format", "json", "default", file);
    const differences: { syscall: string; verdicts: [string, string] }[] = JSON.parse(stdout);
    expect(differences.length).toBeGreaterThan(100);
    expect(differences.filter(({ verdicts: [, recorded] }) => recorded === "ALLOW")).toEqual([]);
    expect(world.leftovers()).toEqual({
      mounts: [],
      cgroups: [],
      processes: [],
      directories: [],
      states: [],
    });
  });

  test("without a profile, or with --privileged, has everything recorded", async () => {
    for (const flag of ["--security-opt=seccomp=unconfined", "--privileged"]) {
      const file = join(world.scratch, "free.json");
      const args = ["--rm", "--quiet", world.plain, "unshare", "-m", "true"];
      await world.ctr("seccomp", "record", "-o", file, flag, ...args);
      expect(namesOf(JSON.parse(readFileSync(file, "utf8")))).toContain("unshare");
    }
  });

  test("has a terminal, and input", async () => {
    const file = join(world.scratch, "input.json");
    const piped = await world.call(
      ["seccomp", "record", "-o", file, "--rm", "-i", "--quiet", world.plain, "cat"],
      { input: "through\n" },
    );
    expect(piped).toEqual({ code: 0, stdout: "through\n", stderr: "" });
    const command = `${CTR_BUN} --store ${world.store} seccomp record -o ${file} --rm -it --quiet ${world.plain} tty`;
    expect(runCommand(["script", "-qec", command, "/dev/null"])).toMatchObject({
      code: 0,
      out: expect.stringContaining("/dev/pts/0"),
    });
  });

  test("is refused with the way out where it cannot be written or is not named", async () => {
    const here = join(world.scratch, "seccomp.json");
    writeFileSync(here, "mine");
    const record = (...args: string[]) => world.ctr("seccomp", "record", ...args);
    expect(await record(world.plain)).toMatchObject({
      code: 125,
      stderr: expect.stringContaining("--profile-out: the file exists"),
    });
    expect(readFileSync(here, "utf8")).toBe("mine");
    expect(await record("-o", "/no/such/place/p.json", world.plain)).toMatchObject({
      code: 125,
      stderr: expect.stringContaining("there is no such directory (/no/such/place)"),
    });
    expect(await record("-o", "p.json")).toMatchObject({
      code: 125,
      stderr: expect.stringContaining("--bundle DIR"),
    });
    expect(await record("-o", "p.json", "--memory", "64m", "--bundle", bundle.path)).toMatchObject({
      code: 125,
      stderr: expect.stringContaining("--memory and --bundle"),
    });
    expect(await record("--help")).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("USAGE ctr-bun seccomp record "),
    });
  });
});
