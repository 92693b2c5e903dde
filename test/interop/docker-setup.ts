// dockerd in a folder of its own, with runc and ctr-bun as runtimes and the image `box`: busybox without a command.

import { existsSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { runCommand } from "../support/bundle.ts";
import { startDaemon, TOOLS_PATH } from "../support/daemon.ts";
import { imagePath } from "../support/images.ts";
import { type Engine, makeRuntimes, type Runtimes, runtimeNames } from "../support/two-runtimes.ts";

const UNPACKED = join(resolve(import.meta.dir, "../.."), "build/tools/usr/bin/docker");
/** The client of the daemon's own package: another one may be first on PATH. */
const CLIENT = existsSync(UNPACKED) ? UNPACKED : "/usr/bin/docker";

export interface Docker extends Engine {
  readonly folder: string;
  readonly runtimes: Runtimes;
  end(): Promise<void>;
}

const NETWORK = ["--iptables=false", "--ip-masq=false", "--bridge=none", "--userland-proxy=false"];

export async function startDocker(): Promise<Docker> {
  const call = (folder: string, ...args: string[]) => [CLIENT, "--host", `unix://${folder}/socket`, ...args];
  const own = (folder: string) => ({
    "--config-file": join(folder, "daemon.json"),
    "--data-root": join(folder, "root"),
    "--exec-root": join(folder, "exec"),
    "--pidfile": join(folder, "pid"),
    "--host": `unix://${folder}/socket`,
    "--init-path": "/usr/bin/tini-static",
    "--storage-driver": "overlay2",
    "--shutdown-timeout": "1",
  });
  const daemon = await startDaemon("docker", {
    prepare: (folder) => {
      // Which would be /etc/docker/key.json.
      const key = { "deprecated-key-path": join(folder, "key.json") };
      writeFileSync(join(folder, "daemon.json"), JSON.stringify(key));
    },
    line: (folder) => [
      ...["dockerd", "--debug", ...NETWORK, ...Object.entries(own(folder)).flat()],
      ...runtimeNames.flatMap((name) => ["--add-runtime", `${name}=${join(folder, name)}`]),
    ],
    serves: (folder) => call(folder, "version"),
    // Where its shims have their sockets, and its plug-ins theirs.
    outside: ["/run/containerd", "/run/docker", "/opt/containerd"],
    cgroups: ["docker"],
  });
  const { folder } = daemon;
  const runtimes = makeRuntimes(folder);
  const options = { env: { PATH: TOOLS_PATH, HOME: folder }, cwd: folder };
  const docker: Docker = {
    folder,
    runtimes,
    options,
    line(name, args) {
      const [verb = "", ...rest] = args;
      const runtime = verb === "run" ? ["--runtime", name, "--network", "none"] : [];
      return [...call(folder), verb, ...runtime, ...rest];
    },
    async end() {
      const { out } = runCommand(call(folder, "ps", "--all", "--quiet"), options);
      const ids = out.split("\n").filter(Boolean);
      if (ids.length > 0) runCommand(call(folder, "rm", "--force", ...ids), options);
      await daemon.end();
    },
  };
  const archive = join(folder, "rootfs.tar");
  for (const line of [
    ["tar", "-C", imagePath("busybox-rootfs"), "-cf", archive, "."],
    call(folder, "import", archive, "box"),
  ]) {
    const { code, err } = runCommand(line, options);
    if (code === 0) continue;
    await docker.end();
    throw new Error(`${line.join(" ")}: ${err}`);
  }
  return docker;
}
