// Whom a container's mounts are shared with. Its host is a mount namespace in which everything is shared.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, CTR_BUN, freshID, makeBundle, runCommand } from "../support/bundle.ts";
import { makePlaces, sh, withCapabilities } from "../support/mounts.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
  makePlaces(bundle, "a", "b");
});
afterAll(() => bundle.dispose());

describe("propagation", () => {
  /** Runs a container whose host has /a and /b shared; says what the host sees mounted below them afterwards. */
  function spread(
    propagation: string | undefined,
    options: Record<string, string[]>,
    script: string,
  ): string[] {
    const shared = join(bundle.path, "shared");
    mkdirSync(shared, { recursive: true });
    bundle.configure(
      sh(
        `${script}; grep -v ' - \\(proc\\|sysfs\\|devpts\\|mqueue\\|cgroup\\)' /proc/self/mountinfo | grep -o ' / .* - \\| /[ab] .* - '`,
      ),
      (config) => {
        config.root.readonly = false;
        if (propagation !== undefined) config.linux.rootfsPropagation = propagation;
        for (const [name, given] of Object.entries(options))
          config.mounts.push({
            destination: `/${name}`,
            source: join(shared, name),
            options: ["bind", ...given],
          });
        withCapabilities(config, "CAP_SYS_ADMIN");
      },
    );
    const host = `
      mount --make-rshared /; mount -t tmpfs tmpfs ${shared}; mkdir ${shared}/a ${shared}/b
      ${CTR_BUN} --root ${bundle.state} run --bundle ${bundle.path} ${freshID()}
      cd ${shared}; find . -mindepth 3 -maxdepth 3 -type d | sort`;
    return runCommand(["unshare", "-m", "--propagation", "private", "sh", "-c", host]).out.split("\n");
  }
  const mountInside =
    "for n in a b; do mkdir /$n/made 2>/dev/null; mount -t tmpfs -o nr_inodes=3 x /$n/made; mkdir /$n/made/inside; done";
  const peers = (lines: string[], place: string) =>
    (lines.find((line) => line.startsWith(` ${place} `)) ?? "")
      .match(/shared:|master:|unbindable/g)
      ?.join("") ?? "private";

  test("by default the root and the binds are slaves of the host's mounts", () => {
    const lines = spread(undefined, { a: [], b: ["rprivate"] }, "true");
    expect([peers(lines, "/"), peers(lines, "/a"), peers(lines, "/b")]).toEqual([
      "master:",
      "master:",
      "private",
    ]);
  });

  test("rprivate lets nothing of the host in", () => {
    const lines = spread("rprivate", { a: ["rslave"], b: ["shared"] }, "true");
    expect([peers(lines, "/"), peers(lines, "/a"), peers(lines, "/b")]).toEqual([
      "private",
      "private",
      "shared:",
    ]);
  });

  test("shared: the root is of a new group, and mounts keep their own word", () => {
    const lines = spread("rshared", { a: ["rshared"], b: ["rprivate"] }, "true");
    expect([peers(lines, "/"), peers(lines, "/a"), peers(lines, "/b")]).toEqual([
      "shared:",
      "shared:",
      "private",
    ]);
  });

  test("only a mount that asks to be shared spreads to the host, and only with a shared root", () => {
    const made = (propagation: string | undefined) =>
      spread(propagation, { a: ["rshared"], b: [] }, mountInside).includes("./a/made/inside");
    const script = `${mountInside}; ls -d /a/made/inside /b/made/inside`;
    expect(spread("shared", { a: ["shared"], b: [] }, script)).toContain("/b/made/inside");
    expect(made("shared")).toBe(true);
    expect(made("rslave")).toBe(false);
    expect(made(undefined)).toBe(false);
  });

  test("unbindable is the root's own", () => {
    expect(peers(spread("unbindable", {}, "true"), "/")).toBe("unbindable");
  });
});
