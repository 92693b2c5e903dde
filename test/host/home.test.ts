// HOME, where the config has none: from the container's own passwd file, whatever stands there, for run, create and exec.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, freshID, makeBundle, runCommand } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";

const LINES =
  "root:x:0:0::/root:/bin/sh\napp:x:1000:1000:App:/srv/app:/bin/sh\nnone:x:7:7::\nbad:x:8:8::relative:\n";

let bundle: Bundle;
let passwd: string;
beforeAll(() => {
  bundle = makeBundle();
  passwd = join(bundle.rootfs, "etc/passwd");
  writeFileSync(passwd, LINES);
});
afterAll(() => bundle.dispose());

const echo = ["sh", "-c", 'echo "$HOME"'];
const as =
  (uid: number, more?: (config: Config) => void) =>
  (config: Config): void => {
    config.process.user = { uid, gid: 0 };
    more?.(config);
  };

test("is the user's by passwd, `/` without an entry or one that says nothing, and the config's where it has one", () => {
  const homes = { 0: "/root", 1000: "/srv/app", 7: "/", 8: "/", 4242: "/" };
  for (const [uid, home] of Object.entries(homes)) {
    expect(bundle.run(echo, as(Number(uid)))).toEqual({ code: 0, out: `${home}\n`, err: "" });
  }
  const given = (value: string) =>
    bundle.run(
      echo,
      as(1000, ({ process }) => void process.env.push(`HOME=${value}`)),
    );
  expect(given("/given").out).toBe("/given\n");
  expect(given("").out).toBe("/srv/app\n");
});

test("is the same as with runc", () => {
  for (const uid of [0, 1000, 8888]) {
    bundle.configure(echo, as(uid));
    const runc = runCommand(["runc", "--root", `${bundle.path}/runc`, "run", "-b", bundle.path, freshID()]);
    expect(bundle.ctr("run", "--bundle", bundle.path, freshID()).out).toBe(runc.out);
  }
});

test("is that of exec's own user", () => {
  const id = freshID();
  bundle.configure(["sleep", "100"]);
  expect(bundle.ctr("run", "--detach", "--bundle", bundle.path, id).code).toBe(0);
  try {
    expect(bundle.ctr("exec", id, ...echo).out).toBe("/root\n");
    expect(bundle.ctr("exec", "--user", "1000:1000", id, ...echo).out).toBe("/srv/app\n");
    expect(bundle.ctr("exec", "--user", "4242", id, ...echo).out).toBe("/\n");
    expect(bundle.ctr("exec", "--env", "HOME=/mine", id, ...echo).out).toBe("/mine\n");
  } finally {
    bundle.ctr("delete", "--force", id);
  }
});

test("comes of what is mounted over the file or its directory", () => {
  const other = join(bundle.path, "other");
  mkdirSync(other, { recursive: true });
  writeFileSync(join(other, "passwd"), "app:x:1000:0::/mounted:\n");
  const mounted = (...mounts: Config["mounts"]) =>
    bundle.run(
      echo,
      as(1000, (config) => void config.mounts.push(...mounts)),
    ).out;
  const file = { destination: "/etc/passwd", source: join(other, "passwd"), options: ["bind"] };
  const folder = { destination: "/etc", source: other, options: ["rbind", "ro"] };
  const empty = { destination: "/etc", type: "tmpfs", source: "tmpfs" };
  expect(mounted(file)).toBe("/mounted\n");
  expect(mounted(folder)).toBe("/mounted\n");
  expect(mounted(file, empty)).toBe("/\n");
});

test("is `/` where the image has something hostile there, at once", () => {
  const hostile: (() => unknown)[] = [
    () => runCommand(["mkfifo", passwd]),
    () => mkdirSync(passwd),
    () => symlinkSync("/proc/self/environ", passwd),
    () => symlinkSync("/dev/zero", passwd),
    () => runCommand(["mknod", passwd, "c", "1", "5"]),
    () => runCommand(["truncate", "-s", "1T", passwd]),
    () => symlinkSync(`../../../../../../..${bundle.path}/host`, passwd),
  ];
  writeFileSync(join(bundle.path, "host"), "app:x:1000:0::/of/the/host:\n");
  for (const make of hostile) {
    rmSync(passwd, { recursive: true, force: true });
    make();
    const begin = performance.now();
    expect(bundle.run(echo, as(1000))).toEqual({ code: 0, out: "/\n", err: "" });
    expect(performance.now() - begin).toBeLessThan(20_000);
  }
  rmSync(passwd, { recursive: true, force: true });
  writeFileSync(passwd, LINES);
});
