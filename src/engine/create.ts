/**
 * A container made from an image, up to the point where runtime/ takes over: name, snapshot, mount, volumes, files,
 * config.json, record. Whatever fails on the way, all of it is taken back.
 * Not here: running it (run.ts).
 */

import { hostname as hostHostname } from "node:os";
import type { Snapshotter } from "../driver.ts";
import { CtrError, fail } from "../error.ts";
import type { PulledImage } from "../image/pull.ts";
import { check } from "../kernel/check.ts";
import { close, readText, tryMkdir } from "../kernel/file.ts";
import { shortID } from "../spec/image/short-id.ts";
import { writeJson } from "../spec/json.ts";
import { parseJson } from "../spec/parse.ts";
import { RuntimeConfig } from "../spec/runtime/config.ts";
import type { Asked } from "./asked.ts";
import { cgroupsPathOf } from "./config/cgroup-flags.ts";
import { buildCommand, buildWorkingDirectory } from "./config/command.ts";
import { buildEnv, withHome } from "./config/env.ts";
import type { MountRequest } from "./config/mount-flags.ts";
import { buildMounts, type ProvidedFiles } from "./config/mounts.ts";
import { buildRuntimeConfig, type NetworkNamespace } from "./config/runtime-config.ts";
import {
  type Claim,
  claimContainer,
  containerDirectory,
  findContainer,
  releaseContainer,
  writeRecord,
} from "./containers.ts";
import { containerDevices } from "./devices.ts";
import { type Engine, openSnapshotter } from "./engine.ts";
import { providedFiles, writeNetworkFiles, writeNew } from "./files.ts";
import { type ImageRequest, obtainImage } from "./image.ts";
import { findUser } from "./image-files.ts";
import { imageVolumes } from "./image-volumes.ts";
import { randomID } from "./names.ts";
import { newRecord } from "./new-record.ts";
import type { ContainerRecord } from "./record.ts";
import { removeAbandoned } from "./remove.ts";
import { makeDirectory, mountSnapshot, unmountAll } from "./rootfs.ts";
import { seccompProfile } from "./seccomp.ts";
import { makeVolumes } from "./sources.ts";
import { containerStatus } from "./status.ts";
import { createUndo, type Undo } from "./undo.ts";

/** What is to be made. */
export interface CreateRequest extends Omit<ImageRequest, "pull" | "platform"> {
  readonly image: string;
  /** What stands behind IMAGE. */
  readonly args: readonly string[];
  readonly asked: Asked;
}

/** A container that is ready to be run; `undo` takes everything back. */
export interface Created {
  readonly record: ContainerRecord;
  readonly bundle: string;
  readonly config: RuntimeConfig;
  /** The mounts that were asked for, by flags or by the image. */
  readonly requests: readonly MountRequest[];
  readonly undo: Undo;
  /** To be called once the runtime knows the container: until then it counts as being created. */
  made(): void;
}

/** Another container's network, where that was asked for. */
interface Joined {
  readonly pid: number;
  readonly hostname: string;
  readonly files: ProvidedFiles;
}

/** Makes a container. Nothing of it is left if this throws. */
export async function createContainer(engine: Engine, request: CreateRequest): Promise<Created> {
  const { asked } = request;
  const joined = joinedNetwork(engine, asked);
  const snapshotter = openSnapshotter(engine);
  const lease = engine.store().lease();
  const undo = createUndo();
  try {
    const image = await obtainImage(engine, snapshotter, request.image, {
      ...request,
      pull: asked.flags.pull,
      platform: asked.flags.platform,
    });
    await lease.hold([
      ...(image.chainID === undefined ? [] : [image.chainID]),
      image.manifest.digest,
      image.id,
    ]);
    throwIfAborted(request.signal);
    return await makeContainer(engine, snapshotter, image, request, joined, undo);
  } catch (error) {
    for (const left of undo.run()) engine.warn(`not taken back: ${String(left)}`);
    throw error;
  } finally {
    lease.release();
  }
}

/** Throws as the caller's interrupt asks. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw signal.reason;
}

async function makeContainer(
  engine: Engine,
  snapshotter: Snapshotter,
  image: PulledImage,
  request: CreateRequest,
  joined: Joined | undefined,
  undo: Undo,
): Promise<Created> {
  const { asked } = request;
  const { flags, network } = asked;
  const { store } = engine.settings;
  const defaults = image.config.config ?? {};
  const args = buildCommand({
    imageEntrypoint: defaults.Entrypoint,
    imageCmd: defaults.Cmd,
    entrypoint: flags.entrypoint,
    args: request.args,
  });
  const cwd = buildWorkingDirectory(defaults.WorkingDir, flags.workdir);
  const id = randomID();
  const isHostNetwork = network.kind === "host";
  const hostname = asked.hostname ?? joined?.hostname ?? (isHostNetwork ? hostHostname() : shortID(id));

  const { name, lock } = await claimName(engine, id, asked.name, snapshotter.name);
  undo.add(() => releaseContainer(store, id, name));
  const directory = containerDirectory(store, id);
  const rootfs = `${directory}/rootfs`;
  check(tryMkdir(rootfs, 0o700), { syscall: "mkdir", path: rootfs });
  const mounts = snapshotter.prepare(id, image.chainID);
  undo.add(() => snapshotter.remove(id));
  mountSnapshot(mounts, rootfs);
  undo.add(() => unmountAll(rootfs, mounts.length));

  const userText = flags.user ?? defaults.User ?? "";
  const userField = flags.user === undefined ? "image config.User" : "--user";
  const user = findUser(rootfs, userText, userField);
  makeDirectory(rootfs, cwd);
  const requests = await makeVolumes(
    [...asked.mounts, ...imageVolumes(defaults.Volumes ?? {}, asked.mounts)],
    directory,
    rootfs,
    request.signal,
  );
  const files =
    joined?.files ??
    writeNetworkFiles(directory, {
      hostname,
      entries: asked.hosts,
      dns: asked.dns,
      sharesHostNetwork: isHostNetwork,
    });
  const env = buildEnv({
    image: defaults.Env ?? [],
    hostname,
    terminal: flags.tty,
    changes: asked.envChanges,
  });
  const choice =
    flags.privileged && asked.security.seccomp === "default" ? "unconfined" : asked.security.seccomp;
  const hasConf = Object.keys(asked.cgroup.conf).length > 0;
  const config = buildRuntimeConfig({
    rootfs,
    readonlyRoot: flags["read-only"],
    args,
    env: withHome(env, user.home),
    cwd,
    user,
    terminal: flags.tty,
    hostname,
    capabilities: asked.capabilities,
    noNewPrivileges: asked.security.noNewPrivileges,
    seccomp: seccompProfile(engine, choice, asked.capabilities),
    systemPathsUnconfined: flags.privileged || asked.security.systemPathsUnconfined,
    network: networkNamespace(asked, joined),
    mounts: buildMounts({
      requests,
      files,
      privileged: flags.privileged,
      readonlyRoot: flags["read-only"],
    }),
    ...containerDevices(asked),
    limits: { ...asked.resources, ...(hasConf ? { unified: { ...asked.cgroup.conf } } : {}) },
    ownCgroupNamespace: asked.cgroup.namespace === "private",
    cgroupsPath: cgroupsPathOf(asked.cgroup, id),
    oomScoreAdj: asked.oomScoreAdj,
    rlimits: asked.rlimits,
  });
  writeNew(`${directory}/config.json`, writeJson(config, 2), 0o600);
  const record = newRecord({
    id,
    name,
    reference: request.image,
    image,
    snapshotter: snapshotter.name,
    asked,
    hostname,
    user: userText,
    env,
    args,
    entrypoint: flags.entrypoint === undefined ? defaults.Entrypoint : [flags.entrypoint],
    cwd,
    mounts: requests,
  });
  writeRecord(store, record);
  return { record, bundle: directory, config, requests, undo, made: () => close(lock) };
}

/** A name that a killed process took for a container that never came to be is taken back first. */
async function claimName(
  engine: Engine,
  id: string,
  name: string | undefined,
  snapshotter: string,
): Promise<Claim> {
  const { store } = engine.settings;
  try {
    return claimContainer(store, id, name, snapshotter);
  } catch (error) {
    const isTaken = error instanceof CtrError && error.code === "NAME_IN_USE";
    if (!isTaken || (await removeAbandoned(engine)) === 0) throw error;
    return claimContainer(store, id, name, snapshotter);
  }
}

function joinedNetwork(engine: Engine, asked: Asked): Joined | undefined {
  const { network } = asked;
  if (network.kind !== "container") return undefined;
  const record = findContainer(engine.settings.store, network.container);
  const { status, pid } = containerStatus(engine, record);
  if (status !== "running") {
    throw fail({
      code: "NOT_RUNNING",
      field: "--network",
      message: `container ${network.container} is not running: it has no network to join`,
      hint: "start it first",
    });
  }
  return { pid, hostname: record.config.hostname, files: filesOf(engine, record.id) };
}

/** Where a container has its three files from: it may itself have joined another's network. */
function filesOf(engine: Engine, id: string): ProvidedFiles {
  const directory = containerDirectory(engine.settings.store, id);
  const config = parseJson(RuntimeConfig, readText(`${directory}/config.json`), "config.json");
  const own = providedFiles(directory);
  const source = (path: keyof ProvidedFiles): string =>
    config.mounts?.find(({ destination }) => destination === path)?.source ?? own[path];
  return {
    "/etc/hosts": source("/etc/hosts"),
    "/etc/hostname": source("/etc/hostname"),
    "/etc/resolv.conf": source("/etc/resolv.conf"),
  };
}

function networkNamespace(asked: Asked, joined: Joined | undefined): NetworkNamespace {
  if (joined !== undefined) return { kind: "path", path: `/proc/${joined.pid}/ns/net` };
  return asked.network.kind === "host" ? { kind: "host" } : { kind: "none" };
}
