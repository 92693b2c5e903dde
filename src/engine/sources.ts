/**
 * What a container's mounts and devices come from on the host: looked at, and made where they are the container's own.
 * Not here: reading flags (config/).
 */
import { type CtrError, fail } from "../error.ts";
import { check } from "../kernel/check.ts";
import { O_DIRECTORY, O_NOFOLLOW, O_PATH, O_RDONLY, S_IFBLK, S_IFCHR, S_IFDIR } from "../kernel/constants.ts";
import {
  close,
  listDirectory,
  open,
  openDirectory,
  statusOf,
  tryMkdir,
  tryOpen,
  tryOpenInRoot,
  withFd,
} from "../kernel/file.ts";
import { copyTree } from "../runtime/copy-tree.ts";
import type { DeviceRequest, HostDevice } from "./config/devices.ts";
import type { MountRequest } from "./config/mount-flags.ts";

/** Refuses a bind whose source is not there: making it up, as Docker does for -v, hides typing errors. */
export function checkBindSources(requests: readonly MountRequest[]): void {
  for (const { type, source, target, field } of requests) {
    if (type !== "bind" || source === undefined) continue;
    const fd = tryOpen(source, O_PATH);
    if (fd >= 0) {
      withFd(fd, () => undefined);
      continue;
    }
    check(fd, {
      syscall: "open",
      path: source,
      field,
      message: `cannot mount ${source} at ${target}`,
      hint: `make it first: mkdir -p ${source}`,
    });
  }
}

/**
 * Gives anonymous volumes their directories, below the container's own, with what the image has at that place.
 * @returns the requests, volumes now with a source.
 */
export async function makeVolumes(
  requests: readonly MountRequest[],
  directory: string,
  rootfs: string,
  signal: AbortSignal | undefined,
): Promise<MountRequest[]> {
  let count = 0;
  const made: MountRequest[] = [];
  for (const request of requests) {
    if (request.type !== "volume") {
      made.push(request);
      continue;
    }
    const parent = `${directory}/volumes`;
    if (count === 0) check(tryMkdir(parent, 0o700), { syscall: "mkdir", path: parent });
    const source = `${parent}/${count++}`;
    check(tryMkdir(source, 0o755), { syscall: "mkdir", path: source });
    await copyUp(rootfs, request.target, source, signal);
    made.push({ ...request, source });
  }
  return made;
}

/** The image's directory itself must be one: what a link at its place leads to inside the root counts. */
async function copyUp(
  rootfs: string,
  target: string,
  volume: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const from = withFd(openDirectory(rootfs), (root) => tryOpenInRoot(root, target, O_RDONLY | O_DIRECTORY));
  if (from < 0) return;
  try {
    const to = open(volume, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      await copyTurning(from, to, signal);
    } finally {
      close(to);
    }
  } finally {
    close(from);
  }
}

/** How long a copy goes on without letting the event loop turn, in milliseconds: interrupts are heard there. */
const TURN = 20;

/** @throws the signal's reason. */
async function copyTurning(from: number, to: number, signal: AbortSignal | undefined): Promise<void> {
  let turned = performance.now();
  for (const _ of copyTree(from, to, { itself: true })) {
    if (performance.now() - turned > TURN) {
      await Bun.sleep(0);
      turned = performance.now();
    }
    signal?.throwIfAborted();
  }
}

/** The device nodes that a `--device` means: one, or all in a directory. */
export function findDevices(request: DeviceRequest): { device: HostDevice; inside: string }[] {
  const status = statusOf(request.host, undefined, 0);
  if (status === undefined) throw badDevice(request.host, "is not there");
  if (status.type !== S_IFDIR) {
    const device = hostDevice(request.host);
    if (device === undefined) throw badDevice(request.host, "is not a device");
    return [{ device, inside: request.inside }];
  }
  return devicesIn(request.host).map((device) => ({
    device,
    inside: `${request.inside}${device.path.slice(request.host.length)}`,
  }));
}

/** All of the host's devices, for `--privileged`, without what every container has of its own. */
export function allDevices(): HostDevice[] {
  const own =
    /^\/dev\/(?:pts|shm|mqueue|fd|\.lxc|\.lxd-mounts|\.udev)$|^\/dev\/(?:console|ptmx|tty|null|zero|full|random|urandom)$/;
  return devicesIn("/dev", own);
}

function devicesIn(directory: string, leaveOut?: RegExp): HostDevice[] {
  const fd = tryOpen(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (fd < 0) return [];
  const names = withFd(fd, (open) => listDirectory(open).map((entry) => entry.name));
  return names.sort().flatMap((name) => {
    const path = `${directory}/${name}`;
    if (leaveOut?.test(path) === true) return [];
    if (statusOf(path)?.type === S_IFDIR) return devicesIn(path, leaveOut);
    // A link to a device (/dev/cdrom) is not made again as a second node.
    return hostDevice(path, false) ?? [];
  });
}

function hostDevice(path: string, follow = true): HostDevice | undefined {
  const status = follow ? statusOf(path, undefined, 0) : statusOf(path);
  if (status === undefined || (status.type !== S_IFCHR && status.type !== S_IFBLK)) return undefined;
  const { mode, uid, gid, rdevMajor: major, rdevMinor: minor } = status;
  return { path, type: status.type === S_IFCHR ? "c" : "b", major, minor, mode: mode & 0o7777, uid, gid };
}

/** Numbers of the disk at a path. @throws CtrError NOT_FOUND that names the flag. */
export function findDisk(path: string, field: string): { major: number; minor: number } {
  const device = hostDevice(path);
  if (device?.type === "b") return { major: device.major, minor: device.minor };
  const why = statusOf(path) === undefined ? "is not there" : "is not a disk";
  throw badDevice(path, why, field, "name a block device: 'lsblk -p' lists them");
}

function badDevice(path: string, why: string, field = "--device", hint = "name a node below /dev"): CtrError {
  return fail({ code: "NOT_FOUND", field, message: `${path} ${why} on this host`, path, hint });
}
