// Makes the images that the tests and the demo use in build/images, most as OCI layouts: each once, and again when its
// recipe changes. The recipes are in scripts/lib/images.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { busybox, busyboxRootfs } from "./lib/images/busybox.ts";
import { debianDemo } from "./lib/images/debian.ts";
import { debianBase, release } from "./lib/images/debootstrap.ts";
import { odd } from "./lib/images/odd.ts";
import { systemdCpio } from "./lib/images/systemd.ts";
import { asScript } from "./lib/run.ts";

const root = resolve(import.meta.dir, "..");
const images = join(root, "build/images");
const cache = join(root, "build/cache");

type Recipe = {
  /** The files below scripts/lib that the image is made by. */
  sources: readonly string[];
  /** Makes the new directory `out`; `work` is an empty one to work in. */
  make(out: string, work: string): void;
};

const layout = "images/layout.ts";
const debian = "images/debootstrap.ts";
const recipes = {
  busybox: { sources: [layout, "images/busybox.ts"], make: busybox },
  "busybox-rootfs": { sources: ["images/busybox.ts"], make: busyboxRootfs },
  odd: { sources: [layout, "images/odd.ts"], make: odd },
  "debian-base": { sources: [debian], make: (out) => debianBase(out, cache) },
  "debian-demo": {
    sources: [layout, debian, "images/debian.ts"],
    make: (out, work) => debianDemo(out, work, image("debian-base"), cache),
  },
  "systemd.cpio": {
    sources: [debian, "images/systemd.ts", "cpio.ts"],
    make: (out, work) => systemdCpio(out, work, image("debian-base"), cache),
  },
} satisfies Record<string, Recipe>;

export type ImageName = keyof typeof recipes;
const isName = (name: string): name is ImageName => name in recipes;
const names = Object.keys(recipes).filter(isName);

/** What an image depends on: the text of its recipe and the host's release. */
function recipeOf(name: ImageName): string {
  const hash = new Bun.CryptoHasher("sha256").update(release());
  for (const file of recipes[name].sources) hash.update(readFileSync(join(import.meta.dir, "lib", file)));
  return hash.digest("hex");
}

/** The path of an image's layout (or root file system, or archive), which is made first if it is not there yet. */
export function image(name: ImageName): string {
  const out = join(images, name);
  const made = join(images, `${name}.recipe`);
  const wanted = recipeOf(name);
  if (existsSync(out) && existsSync(made) && readFileSync(made, "utf8") === wanted) return out;
  const started = performance.now();
  mkdirSync(images, { recursive: true });
  const work = mkdtempSync(join(images, ".making-"));
  try {
    const fresh = join(work, "out");
    recipes[name].make(fresh, work);
    rmSync(out, { recursive: true, force: true });
    renameSync(fresh, out);
    writeFileSync(made, wanted);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  console.log(`made build/images/${name} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return out;
}

if (import.meta.main) {
  const asked = process.argv.slice(2);
  const unknown = asked.filter((name) => !isName(name));
  if (unknown.length > 0) {
    console.error(`no image is called ${unknown.join(" or ")}; there are ${names.join(", ")}`);
    process.exit(1);
  }
  await asScript(() => {
    for (const name of names) if (asked.length === 0 || asked.includes(name)) image(name);
  });
}
