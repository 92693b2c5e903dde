// What is wrong with a config and only the files on a host can tell, in exact words.
import { afterAll, expect, test } from "bun:test";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeBundle } from "../support/bundle.ts";

const bundle = makeBundle();
afterAll(() => bundle.dispose());
symlinkSync("/circle", join(bundle.rootfs, "circle"));
symlinkSync("/etc", join(bundle.rootfs, "link"));
writeFileSync(join(bundle.rootfs, "file"), "");

type Config = Parameters<NonNullable<Parameters<typeof bundle.run>[1]>>[0];

const CASES: readonly (readonly [words: string, change: (config: Config) => void])[] = [
  [
    "mounts[0].destination: too many symbolic links in /circle/x (ELOOP)",
    ({ mounts }) => mounts.unshift({ destination: "/circle/x", type: "tmpfs", source: "tmpfs" }),
  ],
  [
    "mounts[0].destination: /link in the root file system leads to /etc by a symbolic link",
    ({ mounts }) => mounts.unshift({ destination: "/link", type: "sysfs", source: "sysfs" }),
  ],
  [
    "linux.devices[0]: cannot make /file (c 1:3): file exists (/file: EEXIST)",
    ({ linux }) => {
      linux.devices = [{ type: "c", path: "/file", major: 1, minor: 3 }];
    },
  ],
];

test.each(CASES)("%s", (words, change) => {
  const { code, out, err } = bundle.run(["/bin/true"], (config) => {
    change(config);
  });
  expect({ code, out, line: err.split("\n")[0] }).toEqual({ code: 1, out: "", line: `ctr-bun: ${words}` });
});
