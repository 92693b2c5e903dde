// A host on which no file in memory can be executed (vm.memfd_noexec is 2, which a pid namespace may have of its own).

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { dirname } from "node:path";
import { type Bundle, CTR_BUN, freshID, makeBundle, runCommand } from "../support/bundle.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
});
afterAll(() => bundle.dispose());

/** Runs the bundle's container on such a host; `before`: what else is done to it, when ctr-bun is at /mnt. */
function runThere(before = ""): ReturnType<typeof runCommand> {
  const run = `/mnt/ctr-bun --root ${bundle.state} run --bundle ${bundle.path} ${freshID()}`;
  const script = `set -e; mount -t proc proc /proc; mount --bind ${dirname(CTR_BUN)} /mnt
    echo 2 >/proc/sys/vm/memfd_noexec; ${before} ${run}`;
  return runCommand([
    "unshare",
    "--pid",
    "--fork",
    "--mount",
    "--propagation",
    "private",
    "sh",
    "-c",
    script,
  ]);
}

test("the init is a file without a name, and the container runs", () => {
  const before = readdirSync("/run");
  bundle.configure(["sh", "-c", "readlink /proc/1/exe; echo ran"], ({ linux }) => {
    linux.namespaces.push({ type: "user" });
    linux.uidMappings = linux.gidMappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  });
  runCommand(["mkdir", "-p", ...["proc", "dev", "sys"].map((name) => `${bundle.rootfs}/${name}`)]);
  runCommand(["chmod", "755", bundle.path]);
  expect(runThere()).toEqual({ code: 0, out: "/bin/busybox\nran\n", err: "" });
  expect(readdirSync("/run")).toEqual(before);
});

test("where no folder for it allows execution either, the error says so", () => {
  const noexec =
    "for d in /run /dev/shm /tmp /var/tmp; do mount --bind $d $d; mount -o remount,bind,noexec $d; done;";
  const { code, err } = runThere(noexec);
  expect(code).toBe(1);
  expect(err).toContain("cannot make the init's program: neither in memory nor in a file");
  expect(err).toContain("vm.memfd_noexec");
});
