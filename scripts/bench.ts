// Measures `run` of a static program from an OCI bundle against crun and runc: the three alternate in one run, on the
// same bundle, and what counts are the ratios of the medians. Then what the default seccomp profile costs ctr-bun:
// compiled, and from the cache. Nothing here passes or fails.
//
//   npm run bench -- [--rounds N]
//
// crun refuses a host with both cgroup versions, so all of them run in a mount namespace without the cgroup2 tree.

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { cpus, loadavg, release, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { seccompDriver } from "../drivers/seccomp/driver.ts";

const root = resolve(import.meta.dir, "..");
const RUNTIMES = { "ctr-bun": join(root, "dist/ctr-bun"), crun: "crun", runc: "runc" } as const;
type Name = keyof typeof RUNTIMES;
const NAMES = Object.keys(RUNTIMES) as Name[];

function need(program: string): string {
  const found = program.includes("/") ? (existsSync(program) ? program : null) : Bun.which(program);
  if (found === null)
    throw new Error(`${program} is missing: npm test installs what is needed, npm run build builds`);
  return found;
}

/** A bundle as `runc spec` writes it, whose program does nothing. */
function makeBundle(): string {
  const bundle = mkdtempSync(join(tmpdir(), "ctr-bun-bench-"));
  mkdirSync(join(bundle, "rootfs/bin"), { recursive: true });
  copyFileSync(need("busybox"), join(bundle, "rootfs/bin/true"));
  run([need("runc"), "spec", "--bundle", bundle]);
  const path = join(bundle, "config.json");
  const config = JSON.parse(readFileSync(path, "utf8"));
  config.process.terminal = false;
  config.process.args = ["/bin/true"];
  writeFileSync(path, JSON.stringify(config));
  return bundle;
}

function run(command: string[]): number {
  const start = Bun.nanoseconds();
  const { exitCode, stderr } = Bun.spawnSync(command, { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const took = (Bun.nanoseconds() - start) / 1e6;
  if (exitCode !== 0) throw new Error(`${command.join(" ")} ended with ${exitCode}: ${stderr.toString()}`);
  return took;
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

const CACHE = "/run/ctr-bun/seccomp";

/** `run` without a profile, with the default one and no cache, and with it kept: in turns, on the same bundle. */
function measureSeccomp(rounds: number): void {
  const plain = makeBundle();
  const filtered = makeBundle();
  const times = { without: [] as number[], compiled: [] as number[], kept: [] as number[] };
  try {
    const path = join(filtered, "config.json");
    const config = JSON.parse(readFileSync(path, "utf8"));
    const arch = process.arch === "arm64" ? "aarch64" : "x86_64";
    config.linux.seccomp = seccompDriver.defaultProfile(config.process.capabilities.bounding, arch);
    writeFileSync(path, JSON.stringify(config));
    const program = need(RUNTIMES["ctr-bun"]);
    const start = (bundle: string) => run([program, "run", "--bundle", bundle, `bench-${process.pid}`]);
    for (let round = -3; round < rounds; round++) {
      rmSync(CACHE, { recursive: true, force: true });
      const took = { without: start(plain), compiled: start(filtered), kept: start(filtered) };
      if (round < 0) continue;
      for (const name of ["without", "compiled", "kept"] as const) times[name].push(took[name]);
    }
  } finally {
    for (const bundle of [plain, filtered]) rmSync(bundle, { recursive: true, force: true });
  }
  const without = median(times.without);
  const row = (name: string, values: number[]) => {
    const middle = median(values);
    const more = (middle - without).toFixed(2);
    console.log(`  ${name.padEnd(22)} ${middle.toFixed(2).padStart(7)} ms   ${more} more than without`);
  };
  console.log(`the default seccomp profile, ${rounds} rounds of ctr-bun run`);
  console.log(`  ${"without".padEnd(22)} ${without.toFixed(2).padStart(7)} ms`);
  row("compiled in the start", times.compiled);
  row("from the cache", times.kept);
}

function measure(rounds: number): void {
  const bundle = makeBundle();
  const times: Record<Name, number[]> = { "ctr-bun": [], crun: [], runc: [] };
  try {
    const programs = NAMES.map((name) => [name, need(RUNTIMES[name])] as const);
    for (let round = -3; round < rounds; round++) {
      for (const [name, program] of programs) {
        const took = run([program, "run", "--bundle", bundle, `bench-${process.pid}`]);
        if (round >= 0) times[name].push(took);
      }
    }
  } finally {
    rmSync(bundle, { recursive: true, force: true });
  }
  const ours = median(times["ctr-bun"]);
  console.log(
    `run of a static program, ${rounds} rounds, kernel ${release()}, ${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}`,
  );
  for (const name of NAMES) {
    const middle = median(times[name]);
    const ratio = name === "ctr-bun" ? "" : `   ctr-bun takes ${(ours / middle).toFixed(2)} of it`;
    console.log(`  ${name.padEnd(8)} ${middle.toFixed(2).padStart(7)} ms${ratio}`);
  }
}

const INSIDE = "--inside";
if (process.argv.includes(INSIDE)) {
  const at = process.argv.indexOf("--rounds");
  const rounds = at < 0 ? 100 : Number(process.argv[at + 1]);
  measure(rounds);
  measureSeccomp(rounds);
} else {
  // The cache that is emptied for each round is the bench's own.
  const script =
    "mountpoint -q /sys/fs/cgroup/unified && umount /sys/fs/cgroup/unified; " +
    'mkdir -p /run/ctr-bun && mount -t tmpfs -o mode=700 none /run/ctr-bun && exec "$@"';
  const self = [process.execPath, import.meta.path, INSIDE, ...process.argv.slice(2)];
  const child = Bun.spawnSync(["unshare", "-m", "sh", "-c", script, "sh", ...self], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  process.exitCode = child.exitCode;
}
