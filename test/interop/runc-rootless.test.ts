// An ordinary user's bundle, by us and by runc: the same user, limits, devices and mounts.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { freshID } from "../support/bundle.ts";
import { makeUserBundle, type UserBundle } from "../support/rootless.ts";

let user: UserBundle;
beforeAll(() => {
  user = makeUserBundle();
});
afterAll(() => user.dispose());

test("the bundle of spec --rootless is the same container under runc", () => {
  const script =
    "id; cat /proc/self/setgroups; ulimit -Sn; ls -ln /dev; mount | sort; readlink /proc/self/ns/net";
  const ours = user.run(["sh", "-c", script]);
  const theirs = user.as(["runc", "run", freshID()]);
  // Times apart; runc masks with a tmpfs of other options, and shows the cgroups that the container does not have.
  const stable = (text: string): string[] =>
    text
      .replace(/\w{3} +\d+ \d\d:\d\d/g, "")
      .split("\n")
      .filter((line) => !/^tmpfs on \/(proc|sys)|^cgroup2? on /.test(line));
  expect({ code: ours.code, err: ours.err }).toEqual({ code: 0, err: "" });
  expect(stable(ours.out)).toEqual(stable(theirs.out));
  expect(ours.out).toContain("uid=0 gid=0");
});
