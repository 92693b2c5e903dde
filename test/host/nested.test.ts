// ctr-bun in a user namespace, as root of it: it can make no devices, and set no rules for them. And in a cgroup namespace.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, CTR_BUN, freshID, makeBundle, runCommand } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";
import { makePlaces, sh } from "../support/mounts.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
  makePlaces(bundle);
});
afterAll(() => bundle.dispose());

const WARNING =
  "ctr-bun: warning: linux.resources.devices: ctr-bun is in a user namespace, where no device rules can be set\n";

/** Runs the bundle by a ctr-bun that is root of a user namespace with the IDs from 0 to 65535. */
async function runInside(script: string, change?: (config: Config) => void) {
  bundle.configure(sh(script), change);
  const id = freshID();
  const [out, err] = [join(bundle.path, `${id}.out`), join(bundle.path, `${id}.err`)];
  const run = `${CTR_BUN} --root ${bundle.state} run --bundle ${bundle.path} ${id}`;
  const child = Bun.spawn(
    ["unshare", "-U", "sh", "-c", `read mapped; exec unshare -m -p -f --mount-proc ${run}`],
    { stdin: "pipe", stdout: Bun.file(out), stderr: Bun.file(err) },
  );
  const user = () => runCommand(["readlink", `/proc/${child.pid}/ns/user`]).out;
  while (user() === runCommand(["readlink", "/proc/self/ns/user"]).out) await Bun.sleep(10);
  for (const file of ["uid_map", "gid_map"]) writeFileSync(`/proc/${child.pid}/${file}`, "0 0 65536");
  child.stdin.write("mapped\n");
  child.stdin.end();
  const code = await child.exited;
  return { code, out: readFileSync(out, "utf8"), err: readFileSync(err, "utf8") };
}

test("devices are the host's own, bound, and work", async () => {
  const script =
    "for d in null zero full random urandom tty; do stat -c '%n %t:%T' /dev/$d; done; echo x >/dev/null";
  const { code, out, err } = await runInside(script);
  expect({ code, err }).toEqual({ code: 0, err: WARNING });
  expect(out).toBe(
    "/dev/null 1:3\n/dev/zero 1:5\n/dev/full 1:7\n/dev/random 1:8\n/dev/urandom 1:9\n/dev/tty 5:0\n",
  );
});

test("a container with a user namespace of its own is made in it", async () => {
  const change = ({ linux, mounts }: Config) => {
    linux.namespaces.push({ type: "user" });
    linux.uidMappings = linux.gidMappings = [{ containerID: 0, hostID: 1000, size: 1000 }];
    for (const mount of mounts)
      if (mount.type === "devpts")
        mount.options = (mount.options ?? []).filter((option) => !option.startsWith("gid="));
  };
  const script = "id -u; tr -s ' ' </proc/self/uid_map; echo x >/dev/null && echo null";
  expect(await runInside(script, change)).toEqual({ code: 0, out: "0\n 0 1000 1000\nnull\n", err: WARNING });
});

test("a relative cgroupsPath in a cgroup namespace: below its root, where mounts show that, else refused", () => {
  const CGROUPS = "/sys/fs/cgroup";
  const names = existsSync(join(CGROUPS, "cgroup.procs")) ? [""] : readdirSync(CGROUPS);
  const [above, below] = [`ctr-bun-above-${process.pid}`, `ctr-bun-below-${process.pid}`];
  const homes = names.map((name) => join(CGROUPS, name, above));
  const strays = names.map((name) => join(CGROUPS, name, below));
  /** As a ctr-bun in the cgroup `above` of each hierarchy, which is the root of its namespace. */
  const inside = (path: string, before: string) => {
    bundle.configure(["true"], (config) => {
      config.linux.cgroupsPath = path;
    });
    const id = freshID();
    const ctr = `${CTR_BUN} --root ${bundle.state}`;
    const enter = homes.map((home) => `echo $$ >${home}/cgroup.procs`).join(" && ");
    const script = `${before} ${ctr} create --bundle ${bundle.path} ${id} </dev/null`;
    const made = runCommand(["sh", "-c", `${enter} && exec unshare -C -m sh -c '${script}'`]);
    const { code, err } = made;
    const found = homes.filter((home) => existsSync(join(home, below))).length;
    const astray = strays.filter((stray) => existsSync(stray)).length;
    expect(bundle.ctr("delete", "--force", id).code).toBe(0);
    return { code, err, found, astray };
  };
  const anew = names.map((name) => {
    const place = join(CGROUPS, name);
    if (name === "" || name === "unified") return `mkdir -p ${place}; mount -t cgroup2 none ${place};`;
    const options = name === "systemd" ? "none,name=systemd" : name;
    return `mkdir -p ${place}; mount -t cgroup -o ${options} none ${place};`;
  });
  try {
    for (const home of homes) {
      mkdirSync(home);
      for (const file of ["cpuset.cpus", "cpuset.mems"]) {
        const from = join(home, "..", file);
        if (existsSync(from)) writeFileSync(join(home, file), readFileSync(from));
      }
    }
    const refused = inside(below, "");
    expect(refused).toMatchObject({ code: 1, found: 0, astray: 0 });
    expect(refused.err).toContain(
      "linux.cgroupsPath: is relative to ctr-bun's own cgroup, which cannot be told from within its cgroup namespace",
    );
    expect(inside(`/${below}`, "")).toMatchObject({ code: 0, found: 0, astray: names.length });
    expect(inside(below, `mount -t tmpfs none ${CGROUPS}; ${anew.join(" ")}`)).toMatchObject({
      code: 0,
      found: names.length,
      astray: 0,
    });
  } finally {
    for (const directory of [...homes.map((home) => join(home, below)), ...homes, ...strays])
      if (existsSync(directory)) rmdirSync(directory);
  }
});
