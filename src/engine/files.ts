/**
 * Files of the host that a container's making reads, and those in the container's directory that it writes.
 * Not here: what stands in them (config/).
 */

import { fail } from "../error.ts";
import { check } from "../kernel/check.ts";
import { O_CREAT, O_EXCL, O_RDONLY, O_WRONLY } from "../kernel/constants.ts";
import { ERRNO } from "../kernel/errno.ts";
import { open, readAll, readTextIfAny, tryOpen, withFd, writeAll } from "../kernel/file.ts";
import { type CallerEnv, type EnvChange, parseEnvFile } from "./config/env.ts";
import type { ProvidedFiles } from "./config/mounts.ts";
import { type HostEntry, hostsFile, hostsFileOfHost, resolvConf } from "./config/network-files.ts";
import { absolutePath } from "./path.ts";

/** Changes of the environment in `--env-file`s, in their order. */
export function readEnvFiles(paths: readonly string[], cwd: string, caller: CallerEnv): EnvChange[] {
  return paths.flatMap((path) => {
    const text = readHostFile(absolutePath(path, cwd), "--env-file");
    return parseEnvFile(text, path, caller);
  });
}

/** UTF-8 text of a file that a flag names. */
export function readHostFile(path: string, field: string): string {
  const fd = tryOpen(path, O_RDONLY);
  check(fd, {
    syscall: "open",
    path,
    field,
    message: "cannot read the file",
    hint: fd === -ERRNO.ENOENT ? "check its name; it is looked for from the working directory" : undefined,
  });
  const bytes = withFd(fd, (file) => readAll(file, path));
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw fail({ code: "INVALID_FLAG", field, message: "the file is not valid UTF-8", path, cause });
  }
}

/** What the provided files depend on. */
export interface NetworkFiles {
  readonly hostname: string;
  readonly entries: readonly HostEntry[];
  readonly dns: readonly string[];
  readonly sharesHostNetwork: boolean;
}

/** Writes hosts, hostname and resolv.conf into a container's directory, readable to all inside. */
export function writeNetworkFiles(directory: string, files: NetworkFiles): ProvidedFiles {
  const { hostname, entries, dns, sharesHostNetwork } = files;
  const hosts = sharesHostNetwork
    ? hostsFileOfHost(readTextIfAny("/etc/hosts") ?? "", entries)
    : hostsFile(hostname, entries);
  const resolv = resolvConf(readTextIfAny("/etc/resolv.conf") ?? "", dns, sharesHostNetwork);
  writeNew(`${directory}/hosts`, hosts, 0o644);
  writeNew(`${directory}/hostname`, `${hostname}\n`, 0o644);
  writeNew(`${directory}/resolv.conf`, resolv, 0o644);
  return providedFiles(directory);
}

/** Where a container's files are. */
export function providedFiles(directory: string): ProvidedFiles {
  return {
    "/etc/hosts": `${directory}/hosts`,
    "/etc/hostname": `${directory}/hostname`,
    "/etc/resolv.conf": `${directory}/resolv.conf`,
  };
}

/** Writes a file that must not exist yet. */
export function writeNew(path: string, text: string, mode: number): void {
  withFd(open(path, O_WRONLY | O_CREAT | O_EXCL, mode), (fd) =>
    writeAll(fd, new TextEncoder().encode(text), path),
  );
}
