// What a fresh clone needs before anything of it can run: Debian packages, npm packages, bun's executable.
// Plain Node 18 without dependencies, since nothing else is there yet; everything after it runs under Bun.

import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const bunPackage = join(root, "node_modules/bun");

/** A reason, in one line, why this cannot go on: printed without a stack. */
export class SetupError extends Error {}

/** Runs a command to its end; its output is shown only if it fails. */
function run(command, args, options = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 1 << 28,
    ...options,
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", ...options.env },
  });
  if (result.error) throw new SetupError(`${command}: ${result.error.message}`);
  if (result.status !== 0) {
    process.stderr.write(result.stdout + result.stderr);
    throw new SetupError(`${command} ${args[0] ?? ""} failed (exit code ${result.status ?? result.signal})`);
  }
  return result.stdout;
}

function onPath(name) {
  const folders = (process.env.PATH ?? "").split(":").filter(Boolean);
  return folders.some((folder) => existsSync(join(folder, name)));
}

/** Refuses a host that the named npm script cannot run on. */
export function requireHost(script) {
  if (process.platform !== "linux") throw new SetupError(`${script} needs Linux`);
  if (process.getuid?.() !== 0) {
    throw new SetupError(`${script} needs root: it makes containers. Run it as root, for example with sudo`);
  }
  if (!onPath("apt-get") || !onPath("dpkg-query")) {
    throw new SetupError(`${script} needs Debian's apt to install what it uses, and this host has none`);
  }
}

let listsAreFresh = false;
function updateLists() {
  if (!listsAreFresh) run("apt-get", ["-q", "update"]);
  listsAreFresh = true;
}

function missingPackages(names) {
  const format = ["-W", "-f", `\${Package} \${db:Status-Status}\n`, ...names];
  const result = spawnSync("dpkg-query", format, { encoding: "utf8" });
  if (result.error) throw new SetupError("Debian's dpkg is not on this host: its packages cannot be found");
  const lines = new Set(result.stdout.split("\n"));
  return names.filter((name) => !lines.has(`${name} installed`));
}

/** Keeps packages from starting services while `work` runs; a policy that the host has stays in force. */
function withoutServices(work) {
  const policy = "/usr/sbin/policy-rc.d";
  const ours = !existsSync(policy);
  if (ours) writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    return work();
  } finally {
    if (ours) rmSync(policy, { force: true });
  }
}

/** Installs those of the Debian packages that are missing, and says which. */
export function installPackages(names) {
  const missing = missingPackages(names);
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0) {
    throw new SetupError(
      `these Debian packages are missing, and only root can install them: ${missing.join(" ")}`,
    );
  }
  console.log(`installing Debian packages: ${missing.join(" ")}`);
  updateLists();
  withoutServices(() => run("apt-get", ["-qy", "--no-install-recommends", "install", ...missing]));
  const still = missingPackages(missing);
  if (still.length > 0) throw new SetupError(`apt-get did not install ${still.join(" ")}`);
}

/** Unpacks the package of each tool whose file the host lacks below build/tools, without installing it. */
export function unpackTools(tools) {
  const out = join(root, "build/tools");
  for (const { package: name, file } of tools) {
    if (existsSync(join("/", file)) || existsSync(join(out, file))) continue;
    console.log(`unpacking ${name} into build/tools`);
    mkdirSync(out, { recursive: true });
    const work = mkdtempSync(join(out, ".download-"));
    try {
      updateLists();
      run("apt-get", ["-q", "-o", "APT::Sandbox::User=root", "download", name], { cwd: work });
      for (const each of readdirSync(work)) run("dpkg", ["-x", join(work, each), out]);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
}

/** True if node_modules holds what the lock file says; packages for other platforms may be missing. */
function modulesMatchLock() {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  return Object.entries(lock.packages).every(([path, wanted]) => {
    if (path === "" || wanted.optional) return true;
    try {
      return JSON.parse(readFileSync(join(root, path, "package.json"), "utf8")).version === wanted.version;
    } catch {
      return false;
    }
  });
}

/** The path of bun's executable, which is put in place here if npm was told to run no install scripts. */
export function installModules() {
  if (!modulesMatchLock()) {
    console.log("installing npm packages");
    run("npm", ["ci", "--no-audit", "--no-fund"]);
  }
  const { version } = JSON.parse(readFileSync(join(bunPackage, "package.json"), "utf8"));
  const bun = join(root, "node_modules/.bin/bun");
  const works = () => spawnSync(bun, ["--version"], { encoding: "utf8" }).stdout?.trim() === version;
  if (!works()) {
    run(process.execPath, ["install.js"], { cwd: bunPackage });
    if (!works()) throw new SetupError(`${bun} does not run: is this processor supported by bun ${version}?`);
  }
  return bun;
}

/**
 * Runs a TypeScript file under Bun in place of this process: its output, its exit code, and the signals that this
 * process gets. (Not with bun's --no-orphans: every Bun below would inherit it, ctr-bun too, and end containers.)
 */
export function handOver(bun, file, args, env = {}) {
  const child = spawn(bun, [join(root, file), ...args], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, ...env },
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    console.error(`${bun}: ${error.message}`);
    process.exit(1);
  });
  child.on("exit", (code) => process.exit(code ?? 1));
}

/** Runs `work` and turns a SetupError into one line on stderr, with `lastLine` on stdout behind it. */
export function main(work, lastLine) {
  try {
    work();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(error.message);
    if (lastLine) console.log(lastLine);
    process.exitCode = 1;
  }
}
