// Root file systems of Debian, of the release that this host runs, from its mirror: a minimal one, and packages more.
// What images are made of them is in the files beside this one.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../run.ts";

/** The release that this host runs, such as "bookworm". */
export function release(): string {
  const name = readFileSync("/etc/os-release", "utf8").match(/^VERSION_CODENAME=(\w+)$/m)?.[1];
  if (name === undefined)
    throw new Error("/etc/os-release has no VERSION_CODENAME: is this a Debian system?");
  return name;
}

/** Where apt gets this release from. */
function mirror(suite: string): string {
  const targets = run([
    "apt-get",
    "indextargets",
    "--format",
    "$(REPO_URI) $(RELEASE) $(COMPONENT)",
    "Created-By: Packages",
  ]);
  const line = targets.split("\n").find((target) => target.endsWith(` ${suite} main`));
  const uri = line?.split(" ")[0];
  if (uri === undefined) throw new Error(`apt on this host has no source for ${suite} main`);
  return uri;
}

/** apt's proxy, for debootstrap's wget, which does not read apt's configuration. */
function proxy(): Record<string, string> {
  const value = run(["apt-config", "shell", "PROXY", "Acquire::http::Proxy"]).match(/^PROXY='(.+)'$/m)?.[1];
  return value === undefined ? {} : { http_proxy: value };
}

/** Removes what differs from one run to the next. */
function clean(rootfs: string): void {
  const paths = ["var/log", "var/cache", "var/lib/apt/lists", "tmp"].map((path) => join(rootfs, path));
  run(["find", ...paths, "-mindepth", "1", "!", "-type", "d", "-delete"]);
  rmSync(join(rootfs, "var/lib/dpkg/status-old"), { force: true });
  rmSync(join(rootfs, "etc/hostname"), { force: true });
  rmSync(join(rootfs, "etc/resolv.conf"), { force: true });
  writeFileSync(join(rootfs, "etc/machine-id"), "");
}

/** Commands in a mount namespace of their own: what they mount ends with them. */
const alone = ["unshare", "--mount", "--propagation", "private"];

/** Makes a minimal system in the new directory `rootfs`; the packages are kept in `cache`. */
export function debianBase(rootfs: string, cache: string): void {
  const suite = release();
  const packages = join(cache, "debootstrap");
  mkdirSync(packages, { recursive: true });
  const options = ["--variant=minbase", `--cache-dir=${packages}`];
  run([...alone, "debootstrap", ...options, suite, rootfs, mirror(suite)], { env: proxy() });
  clean(rootfs);
}

/** Installs packages with what they depend on and the root file system lacks, downloaded with the host's lists. */
export function install(rootfs: string, cache: string, names: readonly string[]): void {
  const archives = join(cache, "archives");
  mkdirSync(join(archives, "partial"), { recursive: true });
  const status = `Dir::State::status=${join(rootfs, "var/lib/dpkg/status")}`;
  const options = ["-o", status, "-o", "APT::Sandbox::User=root", "-o", `Dir::Cache::archives=${archives}`];
  const asked = [...options, "-o", "Debug::NoLocking=1", "--no-install-recommends", "install", ...names];
  const wanted = run(["apt-get", "-qq", "--simulate", ...asked]).matchAll(
    /^Inst (\S+) \((\S+) .*\[(\w+)\]\)/gm,
  );
  run(["apt-get", "-qqy", "--download-only", ...asked]);
  // apt escapes the epoch's colon in file names.
  const files = [...wanted].map(([, name, version, architecture]) =>
    join(archives, `${name}_${version?.replace(":", "%3a")}_${architecture}.deb`),
  );
  // apt found all that they need: without --force-depends dpkg would want pre-dependencies set up by an earlier run.
  const forces = ["--force-unsafe-io", "--force-depends"];
  run([...alone, "dpkg", `--root=${rootfs}`, ...forces, "-i", ...files], {
    env: { DEBIAN_FRONTEND: "noninteractive", PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
  });
  clean(rootfs);
}
