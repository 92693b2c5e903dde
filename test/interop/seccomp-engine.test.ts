// Seccomp as people meet it: the default profile of `ctr-bun run`, and what --security-opt and --privileged make of it,
// beside what Docker does; real programs of Debian under it; what is told and kept of a container that it ends.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { imagePath } from "../support/images.ts";
import { callsOf, compileCalls, status } from "../support/seccomp/program.ts";
import { until } from "../support/until.ts";
import { newWorld, type World } from "./engine-setup.ts";

let world: World;
let debian: string;
beforeAll(async () => {
  world = await newWorld();
  compileCalls(world.scratch, [64]);
  debian = world.registry.push(imagePath("debian-demo"), "1", "debian-demo:1");
});
afterAll(() => world.end());

const call = callsOf(64);
const ADD_KEY = call("call", "add_key");
const [EPERM, EFAULT, ENOSYS] = [-1, -14, -38];

/** Runs the program with calls in a container, and returns what it says. */
async function run(flags: readonly string[], ...ask: string[]) {
  const volume = `${world.scratch}/calls64:/calls:ro`;
  return await world.ctr("run", "--rm", "--quiet", "-v", volume, ...flags, world.plain, "/calls", ...ask);
}

/** A profile as a file. */
function file(name: string, profile: object): string {
  const path = join(world.scratch, name);
  writeFileSync(path, JSON.stringify(profile));
  return path;
}
const swaponKills = {
  defaultAction: "SCMP_ACT_ALLOW",
  archMap: [{ architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86"] }],
  syscalls: [
    { names: ["sync"], action: "SCMP_ACT_ERRNO", errnoRet: 95, includes: { caps: ["CAP_SYS_ADMIN"] } },
    { names: ["swapon"], action: "SCMP_ACT_KILL_PROCESS" },
  ],
};

describe("a container of an image", () => {
  test("is under the default profile", async () => {
    const calls = ["mount", "unshare", "bpf", "io_uring_setup"].map((name) => call("call", name));
    const [AF_ALG, AF_VSOCK] = [38, 40];
    expect(
      await run(
        [],
        status("Seccomp"),
        ADD_KEY,
        ...calls,
        call("call", "socket", [AF_ALG, 2, 0], "alg"),
        call("call", "socket", [AF_VSOCK, 2, 0], "vsock"),
        call("call", "clone3"),
        call("call", 900),
        call("fork", "getppid"),
      ),
    ).toEqual({
      code: 0,
      stdout: [
        "Seccomp:\t2",
        ...["add_key", "mount", "unshare", "bpf", "io_uring_setup", "alg", "vsock"].map(
          (name) => `${name} ${EPERM}`,
        ),
        `clone3 ${ENOSYS}`,
        `900 ${ENOSYS}`,
        "getppid exit 7\n",
      ].join("\n"),
      stderr: "",
    });
  });

  test.each<[string, string[], string]>([
    ["--security-opt seccomp=unconfined", ["--security-opt", "seccomp=unconfined"], `0\nadd_key ${EFAULT}`],
    ["--privileged", ["--privileged"], `0\nadd_key ${EFAULT}`],
    ["a capability that opens calls", ["--cap-add", "SYS_ADMIN"], `2\nadd_key ${EPERM}\nunshare 0`],
  ])("with %s", async (_, flags, expected) => {
    const more = flags.includes("SYS_ADMIN") ? [call("call", "unshare")] : [];
    const { code, stdout } = await run(flags, status("Seccomp"), ADD_KEY, ...more);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `Seccomp:\t${expected}\n` });
  });

  test("is under a file's rules, those for its capabilities, also with --privileged", async () => {
    const option = ["--security-opt", `seccomp=${file("rules.json", swaponKills)}`];
    const ask = [ADD_KEY, call("call", "sync"), call("fork", "swapon")];
    const told = (sync: number) => `add_key ${EFAULT}\nsync ${sync}\nswapon killed 31\n`;
    expect((await run(option, ...ask)).stdout).toBe(told(0));
    expect((await run([...option, "--privileged"], ...ask)).stdout).toBe(told(-95));
  });

  test("gives its profile to what exec runs", async () => {
    const name = "with-exec";
    const child = world.start("run", "--rm", "--quiet", "--name", name, world.plain, "sleep", "1000");
    try {
      let seen = "";
      await until(async () => {
        const { code, stdout } = await world.ctr("exec", name, "cat", "/proc/self/status");
        seen = stdout;
        return code === 0;
      });
      expect(seen).toMatch(/^Seccomp:\t2$/m);
    } finally {
      child.kill("SIGKILL");
      await child.exited;
      await world.ctr("rm", "--force", name);
    }
  });

  test("that it ends says so, and the record keeps it", async () => {
    const profile = file("kill.json", swaponKills);
    const work = () =>
      world.ctr(
        ...["run", "--quiet", "--name", "killed", "-v", `${world.scratch}/calls64:/calls:ro`],
        ...["--security-opt", `seccomp=${profile}`, world.plain, "/calls", call("call", "swapon")],
      );
    let result = await work();
    // The kernel's log keeps ten such lines in five seconds.
    for (let tries = 0; tries < 3 && result.stderr.includes("keeps a few"); tries++) {
      await Bun.sleep(5100);
      await world.ctr("rm", "killed");
      result = await work();
    }
    const why =
      'the container\'s program was killed by SIGSYS when "calls" called swapon: ' +
      "a rule of the profile has SCMP_ACT_KILL_PROCESS for it; " +
      "to allow it, take swapon out of that rule (--security-opt seccomp=FILE)";
    expect(result).toEqual({ code: 159, stdout: "", stderr: `ctr-bun: warning: ${why}\n` });
    const [{ State }] = JSON.parse((await world.ctr("inspect", "killed")).stdout);
    expect(State).toMatchObject({ Status: "exited", ExitCode: 159, Error: why });
    await world.ctr("rm", "killed");
  });
});

describe("under the default profile", () => {
  const archives = resolve(import.meta.dir, "../../build/cache/archives");

  test("apt and dpkg install a package, and perl, tar, bash and util-linux do their work", async () => {
    const hello = readdirSync(archives).find((name) => /^hello_.*\.deb$/.test(name));
    const script = `
      set -e
      dpkg --remove hello >/dev/null
      apt-get -qq -y -o Dpkg::Use-Pty=0 install /archives/${hello} >/tmp/apt 2>&1 || cat /tmp/apt
      hello
      perl -MSocket -e '
        socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, 0) or die; my $pid = fork();
        if (!$pid) { syswrite $b, "from a child"; exit 3 } sysread $a, my $text, 99; print "$text\\n";
        waitpid $pid, 0; print $? >> 8, "\\n"; socket(my $s, AF_INET, SOCK_DGRAM, 0) or die'
      tar -C /etc -czf - passwd | tar -tzf -
      bash -c 'coproc cat; echo coproc >&"\${COPROC[1]}"; read -r line <&"\${COPROC[0]}"; echo "$line"'
      timeout 5 nice -n 5 ionice -c 3 chrt --batch 0 setpriv --no-new-privs --reuid demo --clear-groups id -un
    `;
    const { code, stdout, stderr } = await world.ctr(
      ...["run", "--rm", "--quiet", "--user", "root", "-v", `${archives}:/archives:ro`],
      ...[debian, "sh", "-c", script],
    );
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: "Hello, world!\nfrom a child\n3\npasswd\ncoproc\ndemo\n",
      stderr: "",
    });
  });
});
