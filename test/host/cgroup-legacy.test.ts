/**
 * The v1 driver where there is no cgroup2 tree, through the conformance suite of cgroup drivers: on a hybrid host in a
 * mount namespace without it, in whose place the controllers for networks are mounted, where the kernel has them.
 */
import { expect, test } from "bun:test";
import { resolve } from "node:path";
import { counts } from "../../scripts/lib/groups.ts";
import { probeCgroups } from "../../src/runtime/host-cgroup.ts";

const { mode, unified } = probeCgroups();
const GUEST = "./test/host/guest/cgroup-legacy.guest.ts";
// A hierarchy goes with its last mount, if all that was in it is gone by then, which takes the kernel a moment.
const SCRIPT = `
  umount "$1"
  network() { mount -t cgroup -o net_cls,net_prio network "$1" 2>/dev/null; }
  network "$1"
  "$2" test ${GUEST} --only-failures --timeout=60000
  code=$?
  [ -e "$1/net_cls.classid" ] && rmdir "$1/ctr-bun"
  for try in $(seq 150); do
    sleep 0.1
    umount "$1" 2>/dev/null
    sleep 0.1
    grep -q net_cls /proc/self/cgroup || exit $code
    network "$1"
  done
  echo "the hierarchy of net_cls stays: engines take it for one that is mounted"
  exit 1`;

test.skipIf(process.getuid?.() !== 0 || mode !== "hybrid")(
  "the v1 driver passes without a cgroup2 tree",
  () => {
    const { stdout, stderr, exitCode } = Bun.spawnSync(
      ["unshare", "--mount", "sh", "-c", SCRIPT, "sh", unified ?? "", process.execPath],
      { cwd: resolve(import.meta.dir, "../.."), stdin: "ignore", env: { ...process.env, NO_COLOR: "1" } },
    );
    const output = `${stdout}${stderr}`;
    expect(exitCode === 0 ? "" : output).toBe("");
    expect(counts(output)?.passed).toBeGreaterThan(50);
  },
  180_000,
);
