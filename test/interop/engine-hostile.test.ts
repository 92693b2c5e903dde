// Images that mean harm: what they name leads nowhere outside their own root, and is refused where it makes no sense.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { imagePath } from "../support/images.ts";
import { executable, newWorld, type World } from "./engine-setup.ts";

let world: World;
let count = 0;
beforeAll(async () => {
  world = await newWorld();
});
afterAll(async () => {
  await world.end();
});

const nothing = { mounts: [], processes: [], directories: [], states: [] };

function umoci(...args: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["umoci", ...args]);
  if (exitCode !== 0) throw new Error(`umoci ${args.join(" ")}: ${stderr}`);
}

/** busybox with other settings, and files that take the place of its own. */
function hostile(config: readonly string[], links: Readonly<Record<string, string>> = {}): string {
  const layout = join(mkdtempSync(join(world.scratch, "image-")), "layout");
  cpSync(imagePath("busybox"), layout, { recursive: true });
  const image = `${layout}:plain`;
  for (const [path, target] of Object.entries(links)) {
    const link = join(world.scratch, `link-${count++}`);
    symlinkSync(target, link);
    umoci("insert", "--image", image, link, path);
  }
  if (config.length > 0) umoci("config", "--image", image, ...config);
  return world.registry.push(layout, "plain", `hostile:${count++}`);
}

describe("an image whose", () => {
  test("volume is a link to a directory of the host copies its own files only", async () => {
    writeFileSync(join(world.scratch, "host-only"), "");
    const outside = hostile(["--config.volume=/evil"], { "/evil": world.scratch });
    const there = await world.ctr("run", "--rm", "-q", outside, "sh", "-c", "ls /evil/ | wc -l");
    expect(there.stdout === "0\n" || there.code === 125).toBe(true);
    const etc = hostile(["--config.volume=/evil"], { "/evil": "../../../../../../etc" });
    const { stdout } = await world.ctr(
      "run",
      "--rm",
      "-q",
      etc,
      "sh",
      "-c",
      "grep -c Demo /evil/passwd; ls /evil",
    );
    expect(stdout).toStartWith("1\n");
    expect(stdout).not.toContain("debian_version");
    expect(world.leftovers()).toMatchObject(nothing);
  });

  test("volume is /proc or below it is refused", async () => {
    for (const place of ["/proc", "/proc/self/attr"]) {
      const { code, stderr } = await world.ctr(
        "run",
        "--rm",
        "-q",
        hostile([`--config.volume=${place}`]),
        "true",
      );
      expect([place, code]).toEqual([place, 125]);
      expect(stderr).toContain("/proc");
    }
    expect(world.leftovers()).toMatchObject(nothing);
  });

  test("user wraps around to root is refused", async () => {
    for (const user of ["4294967296", "4294967295", "0x0", "0:4294967296"]) {
      const { code, stdout } = await world.ctr(
        "run",
        "--rm",
        "-q",
        hostile([`--config.user=${user}`]),
        "id",
        "-u",
      );
      expect([user, code, stdout]).toEqual([user, 125, ""]);
    }
    const large = await world.ctr("run", "--rm", "-q", hostile(["--config.user=2147483648"]), "id", "-u");
    expect(large.stdout).toBe("2147483648\n");
  });

  test("passwd is a device or leads out is not read", async () => {
    const zero = await world.ctr(
      "run",
      "--rm",
      "-q",
      hostile(["--config.user=demo"], { "/etc/passwd": "/dev/zero" }),
      "id",
    );
    expect(zero.code).toBe(125);
    const out = hostile(["--config.user=daemon"], { "/etc/passwd": "/proc/1/root/etc/passwd" });
    expect((await world.ctr("run", "--rm", "-q", out, "id")).stderr).toContain('no user "daemon"');
  });

  test("working directory is an open descriptor ends up nowhere outside", async () => {
    for (const number of [3, 4, 5, 6, 7, 8, 10, 12]) {
      const image = hostile([`--config.workingdir=/proc/self/fd/${number}`]);
      const { code, stdout } = await world.ctr(
        "run",
        "--rm",
        "-q",
        image,
        "sh",
        "-c",
        "cat ../../../../../../etc/debian_version",
      );
      expect([number, code === 0, stdout]).toEqual([number, false, ""]);
    }
    expect(world.leftovers()).toMatchObject(nothing);
  });

  test("program is /proc/self/exe cannot write to ctr-bun", async () => {
    const hash = () => new Bun.CryptoHasher("sha256").update(readFileSync(executable)).digest("hex");
    const before = hash();
    const image = hostile(["--config.entrypoint=/proc/self/exe"]);
    const { code } = await world.ctr("run", "--rm", "-q", image, "x");
    expect(code).not.toBe(0);
    await world.sh(["--privileged"], "for p in /proc/[0-9]*/exe; do echo x 2>/dev/null >>$p; done; true");
    expect(hash()).toBe(before);
  });

  test("labels and environment look like our own changes nothing", async () => {
    const image = hostile([
      "--config.label=ctr-bun.privileged=true",
      "--config.label=org.criu.config=/etc/passwd",
      "--config.env=LD_PRELOAD=/evil.so",
      "--config.env=BUN_BE_BUN=1",
    ]);
    const { code, stdout } = await world.ctr(
      "run",
      "--rm",
      "-q",
      image,
      "grep",
      "CapEff",
      "/proc/self/status",
    );
    expect([code, stdout]).toEqual([0, "CapEff:\t00000000a80425fb\n"]);
  });
});
