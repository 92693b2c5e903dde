// Labels of security modules at work, each in a machine that boots with its module and a policy of ours: AppArmor
// profiles, SELinux labels of processes, keyrings and mounts. Without a module: test/host/labels.test.ts.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { VmFiles } from "../../scripts/vm/initramfs.ts";
import { runInVm, type VmRun } from "../../scripts/vm/run.ts";
import { type Config, specConfig } from "../support/config.ts";
import { imagePath } from "../support/images.ts";
import { compilePolicy, compileProfiles } from "../support/policies.ts";

const work = mkdtempSync(join(tmpdir(), "ctr-bun-labels-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** A bundle /b/NAME whose program is a line of shell, with a tmpfs at /tmp. */
function bundle(name: string, line: string, change: (config: Config) => void): VmFiles {
  const config = specConfig("/busybox", ["sh", "-c", line]);
  config.root.readonly = false;
  config.mounts.push({ destination: "/tmp", type: "tmpfs", source: "tmpfs" });
  change(config);
  return { [`/b/${name}/config.json`]: { text: JSON.stringify(config) } };
}

const helpers = `
  run() { outcome "$1" ctr-bun run --bundle "/b/$1" "$1"; }
  pid() { ctr-bun state "$1" | sed -n 's/.*"pid": *\\([0-9]*\\).*/\\1/p'; }
  begin() { ctr-bun run --detach --bundle "/b/$1" "$1" </dev/null >/tmp/out 2>&1 || cat /tmp/out; }
`;
/** What a command put out and how it ended, with its lines as they were. */
const reader =
  (vm: () => VmRun) =>
  (name: string): string =>
    (vm().results.get(name)?.text ?? "no result").replaceAll("|", "\n");

describe("AppArmor", () => {
  const attempts = "(: >/tmp/secret) && echo secret; (: >/tmp/other) && echo other";
  const confined = (profile: string) => (config: Config) => {
    config.process.apparmorProfile = profile;
  };
  const box = confined("ctr-bun-box");
  const { apparmorProfile: _, ...unsaid } = specConfig("/busybox", ["sh", "-c", attempts]).process;
  const files = (): VmFiles => ({
    "/busybox": { from: imagePath("busybox-rootfs") },
    "/profiles": { from: compileProfiles("box.apparmor", join(work, "profiles")) },
    "/process.json": { text: JSON.stringify(unsaid) },
    ...bundle("box", `cat /tmp/start /proc/self/attr/apparmor/current; ${attempts}`, (config) => {
      box(config);
      const args = (out: string) => ["sh", "-c", `cat /proc/self/attr/apparmor/current >${out}`];
      config.hooks = {
        createContainer: [{ path: "/bin/sh", args: args("/run/create") }],
        startContainer: [{ path: "/bin/sh", args: args("/tmp/start") }],
      };
    }),
    ...bundle("missing", "true", confined("ctr-bun-none")),
    // Root of a user namespace in the host's pid namespace: it can make no procfs.
    ...bundle("user", attempts, (config) => {
      box(config);
      config.mounts = config.mounts.filter(({ destination }) => /^\/(dev|tmp)$/.test(destination));
      config.linux.namespaces = ["mount", "user"].map((type) => ({ type }));
      config.hostname = "";
      config.linux.maskedPaths = config.linux.readonlyPaths = [];
      config.linux.uidMappings = config.linux.gidMappings = [
        { containerID: 0, hostID: 100_000, size: 65_536 },
      ];
    }),
    ...bundle("sleeps", "sleep 100", box),
    ...bundle("joined", "exec sleep 100", (config) => {
      box(config);
      config.mounts = [];
      config.linux.maskedPaths = config.linux.readonlyPaths = [];
      config.root.readonly = false;
      config.hostname = "";
      config.linux.namespaces = [{ type: "mount", path: "/proc/OTHER/ns/mnt" }];
    }),
  });
  const script = `${helpers}
    label() { cat "/proc/$(pid "$1")/attr/apparmor/current"; }
    fake='mount -t tmpfs fake /proc && mkdir -p /proc/self/attr/apparmor && : >/proc/self/attr/exec && : >/proc/self/attr/apparmor/exec'
    mount -t securityfs securityfs /sys/kernel/security
    check load sh -c 'cat /profiles >/sys/kernel/security/apparmor/.load'
    for name in box missing user; do run $name; done
    outcome hook cat /run/create

    ctr-bun create --bundle /b/sleeps sleeps </dev/null >/tmp/out 2>&1
    outcome waits label sleeps
    ctr-bun start sleeps
    sleep 0.5
    outcome runs label sleeps
    outcome exec ctr-bun oci exec sleeps sh -c '${attempts}'
    outcome exec-process ctr-bun oci exec --process /process.json sleeps
    outcome exec-other ctr-bun oci exec --apparmor ctr-bun-other sleeps sh -c 'cat /proc/self/attr/apparmor/current; ${attempts}'
    outcome exec-missing ctr-bun oci exec --apparmor ctr-bun-none sleeps true
    check fake nsenter -t $(pid sleeps) -m sh -c "$fake"
    outcome exec-fake ctr-bun oci exec sleeps sh -c '${attempts}; cat /proc/self/attr/apparmor/exec /proc/self/attr/exec'

    unshare -m sh -c "$fake && : >/tmp/ready && exec sleep 100" &
    while [ ! -e /tmp/ready ] && kill -0 $!; do sleep 0.1; done
    sed -i "s/OTHER/$!/" /b/joined/config.json
    begin joined
    sleep 0.5
    outcome joined label joined
    outcome joined-fake nsenter -t $! -m cat /proc/self/attr/apparmor/exec /proc/self/attr/exec
  `;

  let vm: VmRun;
  const outcome = reader(() => vm);
  beforeAll(async () => {
    vm = await runInVm({ files: files(), script, append: "apparmor=1 security=apparmor", timeout: 120_000 });
  }, 150_000);

  const isConfined = /^exit code \d+: sh: can't create \/tmp\/secret: Permission denied\nother$/;

  test("a container runs under its profile, which holds", () => {
    expect(vm.results.get("load")).toEqual({ ok: true, text: "" });
    expect(outcome("box")).toBe(
      "exit code 0: ctr-bun-box (enforce)\nctr-bun-box (enforce)\nsh: can't create /tmp/secret: Permission denied\nother",
    );
  });
  test("hooks of the container's own programs run under it, hooks of the host's do not, as in runc", () => {
    expect(outcome("box")).toStartWith("exit code 0: ctr-bun-box (enforce)\n");
    expect(outcome("hook")).toBe("exit code 0: unconfined");
  });
  test("also where its root can make no procfs", () => {
    expect(outcome("user")).toMatch(isConfined);
  });
  test("a profile that is not loaded is an error that names it and its property", () => {
    expect(outcome("missing")).toMatch(
      /^exit code 1: ctr-bun: process\.apparmorProfile: cannot apply the AppArmor profile ctr-bun-none: no such file/,
    );
    expect(outcome("missing")).toContain("load it with apparmor_parser");
  });
  test("it counts from the program on, not for the init", () => {
    expect(outcome("waits")).toBe("exit code 0: unconfined");
    expect(outcome("runs")).toBe("exit code 0: ctr-bun-box (enforce)");
  });
  test("exec has the container's, with --process that names none too", () => {
    expect(outcome("exec")).toMatch(isConfined);
    expect(outcome("exec-process")).toMatch(isConfined);
  });
  test("exec --apparmor takes another", () => {
    expect(outcome("exec-other")).toBe(
      "exit code 1: ctr-bun-other (enforce)\nsecret\nsh: can't create /tmp/other: Permission denied",
    );
    expect(outcome("exec-missing")).toContain(
      "process.apparmorProfile: cannot apply the AppArmor profile ctr-bun-none: ",
    );
  });
  test("what is mounted over the container's /proc misleads no exec", () => {
    expect(vm.results.get("fake")).toEqual({ ok: true, text: "" });
    expect(outcome("exec-fake")).toMatch(
      /^exit code 0: sh: can't create \/tmp\/secret: Permission denied\nother$/,
    );
  });
  test("nor does a false /proc in a mount namespace that is joined", () => {
    expect(outcome("joined")).toBe("exit code 0: ctr-bun-box (enforce)");
    expect(outcome("joined-fake")).toBe("exit code 0: ");
  });
});

describe("SELinux", () => {
  const label = (type: string) => `system_u:system_r:${type}:s0:c1,c2`;
  const files_ = `system_u:object_r:box_file_t:s0:c1,c2`;
  const labelled = (config: Config) => {
    config.process.selinuxLabel = label("box_t");
    config.linux.mountLabel = files_;
  };
  // A message queue that could be made may not be written to: it has the policy's own label again.
  const attempts =
    "for d in /etc /tmp /dev/shm /dev/mqueue; do (: >$d/x) 2>/dev/null; [ -e $d/x ] && echo $d; done";
  const files = (): VmFiles => ({
    "/busybox": { from: imagePath("busybox-rootfs") },
    "/policy": { from: compilePolicy("box.cil", join(work, "policy")) },
    ...bundle("box", `cat /proc/self/attr/current; echo; ${attempts}`, labelled),
    ...bundle("mounts", "grep -v ^rootfs /proc/self/mounts | cut -d ' ' -f 2-4", labelled),
    ...bundle("keys", "grep -o _ses.keys /proc/keys", (config) => {
      labelled(config);
      config.linux.maskedPaths = [];
    }),
    ...bundle("wrong", "true", (config) => {
      config.process.selinuxLabel = label("none_t");
    }),
    ...bundle("wrong-mounts", "true", (config) => {
      config.linux.mountLabel = "system_u:object_r:none_t:s0";
    }),
    ...bundle("sleeps", "exec sleep 100", labelled),
  });
  const script = `${helpers}
    mount -t selinuxfs selinuxfs /sys/fs/selinux
    outcome unloaded ctr-bun run --bundle /b/box box
    dd if=/policy of=/sys/fs/selinux/load bs=1M count=1 2>/dev/null
    echo 1 >/sys/fs/selinux/enforce
    outcome enforces cat /sys/fs/selinux/enforce
    for name in box mounts keys wrong wrong-mounts; do run $name; done
    begin sleeps
    sleep 0.5
    outcome exec ctr-bun oci exec sleeps sh -c 'cat /proc/self/attr/current; echo; ${attempts}'
    outcome exec-other ctr-bun oci exec --process-label ${label("other_t")} sleeps sh -c 'cat /proc/self/attr/current; echo; ${attempts}'
    outcome exec-wrong ctr-bun oci exec --process-label ${label("none_t")} sleeps true
  `;

  let vm: VmRun;
  const outcome = reader(() => vm);
  beforeAll(async () => {
    vm = await runInVm({ files: files(), script, append: "security=selinux", timeout: 120_000 });
  }, 150_000);

  const allowed = "/tmp\n/dev/shm\n/dev/mqueue";

  test("counts as not there before a policy is loaded, in runc's words", () => {
    expect(outcome("unloaded")).toContain(
      "process.selinuxLabel: selinux label is specified in config, but selinux is disabled or not supported",
    );
  });
  test("a container has its label, which holds, and so have the file systems that are its own", () => {
    expect(outcome("enforces")).toBe("exit code 0: 1");
    expect(outcome("box")).toBe(`exit code 0: ${label("box_t")}\n${allowed}`);
  });
  test("mountLabel is the context of what is mounted, masks too, but for procfs, sysfs and cgroups", () => {
    const lines = outcome("mounts").replace("exit code 0: ", "").split("\n");
    const withLabel = lines
      .filter((line) => line.includes(`context="${files_}"`))
      .map((line) => line.split(" ")[0]);
    expect(withLabel).toEqual(
      expect.arrayContaining(["/dev", "/dev/pts", "/dev/shm", "/tmp", "/proc/acpi", "/sys/firmware"]),
    );
    for (const path of ["/proc", "/sys", "/sys/fs/cgroup"]) {
      expect(lines.some((line) => line.startsWith(`${path} `))).toBe(true);
      expect(withLabel).not.toContain(path);
    }
  });
  test("the session keyring has the process's label: the policy shows it no other", () => {
    expect(outcome("keys")).toBe("exit code 0: _ses.keys");
  });
  test("a label that the policy does not have is an error that names it and its property", () => {
    expect(outcome("wrong")).toContain(
      `process.selinuxLabel: cannot set the SELinux label ${label("none_t")}: invalid argument`,
    );
    expect(outcome("wrong")).toContain("the loaded policy has no such context");
    expect(outcome("wrong-mounts")).toContain("the loaded policy has no such label as linux.mountLabel");
  });
  test("exec has the container's label, and takes another with --process-label", () => {
    expect(outcome("exec")).toBe(`exit code 0: ${label("box_t")}\n${allowed}`);
    expect(outcome("exec-other")).toBe(`exit code 0: ${label("other_t")}\n/etc\n${allowed}`);
    expect(outcome("exec-wrong")).toContain(`cannot set the SELinux label ${label("none_t")}: `);
  });
});
