// A real registry (Debian's docker-registry) on a loopback port, with its data in a directory of its own, for the
// demo and the tests. Images are pushed to it with skopeo.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { run } from "./run.ts";

const root = resolve(import.meta.dir, "../..");

export type Registry = {
  /** Address and port, such as 127.0.0.1:40123. */
  host: string;
  /** The command that pushes the image `tag` of the OCI layout at `layout` as `name`, which holds a tag itself. */
  pushCommand(layout: string, tag: string, name: string): string[];
  /** Runs that command and returns the reference that was pushed. */
  push(layout: string, tag: string, name: string): string;
  /** Ends the process and removes its data. */
  stop(): Promise<void>;
};

export type RegistryOptions = {
  /** Ask for this user and password (basic authentication) on every request. */
  user?: { name: string; password: string };
  /** A port, where not any free one will do. */
  port?: number;
};

function executable(): string {
  const unpacked = join(root, "build/tools/usr/bin/docker-registry");
  const found = Bun.which("docker-registry") ?? (existsSync(unpacked) ? unpacked : null);
  if (found === null)
    throw new Error("docker-registry is not installed: npm test and npm run demo unpack it");
  return found;
}

/** The port that the registry says it listens on, read from its log for up to ten seconds. */
async function port(log: string, child: Bun.Subprocess): Promise<string> {
  const end = performance.now() + 10_000;
  while (performance.now() < end && child.exitCode === null) {
    const text = existsSync(log) ? readFileSync(log, "utf8") : "";
    const found = text.match(/listening on [^\s"]*:(\d+)/)?.[1];
    if (found !== undefined) return found;
    await Bun.sleep(10);
  }
  throw new Error(`docker-registry does not listen:\n${readFileSync(log, "utf8")}`);
}

/** Starts a registry and waits until it listens. The caller must `stop()` it. */
export async function startRegistry(options: RegistryOptions = {}): Promise<Registry> {
  const work = mkdtempSync(join(tmpdir(), "registry-"));
  const { user } = options;
  const config: Record<string, unknown> = {
    version: "0.1",
    log: { level: "info", accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(work, "data") }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${options.port ?? 0}` },
  };
  if (user !== undefined) {
    const hash = await Bun.password.hash(user.password, { algorithm: "bcrypt", cost: 4 });
    writeFileSync(join(work, "htpasswd"), `${user.name}:${hash}\n`, { mode: 0o600 });
    config.auth = { htpasswd: { realm: "registry", path: join(work, "htpasswd") } };
  }
  mkdirSync(join(work, "data"));
  // The configuration is YAML, and JSON is YAML.
  writeFileSync(join(work, "config.yml"), JSON.stringify(config));
  // It logs for as long as it runs: to a file, so that no pipe fills up.
  const log = join(work, "log");
  const child = Bun.spawn([executable(), "serve", join(work, "config.yml")], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: Bun.file(log),
  });
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 3000);
    await child.exited;
    clearTimeout(timer);
    rmSync(work, { recursive: true, force: true });
  };
  try {
    const host = `127.0.0.1:${await port(log, child)}`;
    const pushCommand = (layout: string, tag: string, name: string): string[] => [
      ...["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"],
      ...(user === undefined ? [] : [`--dest-creds=${user.name}:${user.password}`]),
      ...[`oci:${layout}:${tag}`, `docker://${host}/${name}`],
    ];
    return {
      host,
      pushCommand,
      push(layout, tag, name) {
        run(pushCommand(layout, tag, name));
        return `${host}/${name}`;
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
