// The demo: a registry on loopback, a real Debian image pushed to it, and ctr-bun that pulls the image and runs it.
// Prints each command as a person would type it. Leaves nothing running; what it made stays in build/.

import { readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { build } from "./build.ts";
import { image } from "./images.ts";
import { type Registry, startRegistry } from "./lib/registry.ts";
import { onEnd, shellWords } from "./lib/run.ts";

const root = resolve(import.meta.dir, "..");
const ctrBun = ["dist/ctr-bun", "--store", "build/demo"];
const colour = process.stdout.isTTY && !process.env.NO_COLOR;
const started = performance.now();
let registry: Registry | undefined;
let running: Bun.Subprocess | undefined;

/** A heading between the commands. */
function say(text: string): void {
  console.log(colour ? `\n\x1b[1m# ${text}\x1b[0m` : `\n# ${text}`);
}

/** Shows a command, runs it in the clone's folder with this terminal's output, and throws if it fails. */
async function show(command: string[]): Promise<void> {
  console.log(`$ ${shellWords(command)}`);
  running = Bun.spawn(command, { cwd: root, stdin: "ignore", stdout: "inherit", stderr: "inherit" });
  const code = await running.exited;
  if (code !== 0) throw new Error(`the demo failed: that command ended with exit code ${code}`);
}

/** Empties the store of an earlier demo, so that this one pulls again. */
function emptyStore(): void {
  const store = join(root, "build/demo");
  const mounted = readFileSync("/proc/self/mountinfo", "utf8").includes(` ${store}/`);
  if (mounted)
    throw new Error(`something is mounted below ${store}: a container of an earlier demo still runs there`);
  rmSync(store, { recursive: true, force: true });
}

async function demo(from: Registry): Promise<string> {
  const reference = `${from.host}/debian-demo:1`;
  const run = (...words: string[]): string[] => [...ctrBun, "run", "--rm", reference, ...words];

  say(`push the image to a registry, Debian's docker-registry, which listens on ${from.host}`);
  await show(from.pushCommand("build/images/debian-demo", "1", "debian-demo:1"));
  say("run a container of it: ctr-bun pulls the image first");
  await show(run("cat", "/etc/os-release"));
  say("which packages does it have?");
  await show(run("dpkg", "-l"));
  say("a program of the second layer, called by one of the third, as the user that the image names");
  await show(run("sh", "-c", "id; ./greet"));
  say("a file that the third layer removed, and a directory that the fourth one replaced");
  await show(run("sh", "-c", "test ! -e /etc/issue && ls /usr/share/doc"));
  return reference;
}

async function stop(code: number): Promise<never> {
  running?.kill();
  await running?.exited;
  const stopped = registry?.stop();
  registry = undefined;
  await stopped;
  process.exit(code);
}

onEnd(() => void stop(1));
try {
  emptyStore();
  say("build dist/ctr-bun, and make the image debian-demo once: debootstrap, and three layers on top");
  await build(join(root, "src/main.ts"), join(root, "dist/ctr-bun"));
  image("debian-demo");
  registry = await startRegistry();
  const reference = await demo(registry);
  say(
    `done in ${((performance.now() - started) / 1000).toFixed(0)} s. The registry is stopped; the image stays here:`,
  );
  console.log(`$ ${shellWords([...ctrBun, "run", "--rm", "-it", reference, "bash"])}`);
  await stop(0);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  await stop(1);
}
