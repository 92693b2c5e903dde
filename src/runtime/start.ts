/** OCI start: a word on the start socket; *executing* and then the end of the connection mean that the program runs. */
import type { DriverRegistry } from "../driver.ts";
import { fail } from "../error.ts";
import { errnoName } from "../kernel/errno.ts";
import { close, openDirectory, tryUnlink } from "../kernel/file.ts";
import { viewOf } from "../kernel/memory.ts";
import { receive, tryConnectUnix } from "../kernel/socket.ts";
import { REPORT, REPORT_SIZE } from "../machine/report.ts";
import type { Hooks } from "../spec/runtime/hooks.ts";
import { notifyModule } from "./create.ts";
import { killInit } from "./delete.ts";
import { waitHearing } from "./hearing.ts";
import type { HookEar } from "./hook-ear.ts";
import { lateFailure } from "./late-calls.ts";
import { whileKept } from "./lock.ts";
import { runPoststart } from "./poststart.ts";
import {
  type ContainerRecord,
  type ContainerStatus,
  needRecord,
  startSocket,
  stateDirectory,
} from "./state.ts";
import { currentStatus } from "./status.ts";

/** `notifySocket` as in NOTIFY_SOCKET: start then waits until the program is ready, and tells it there. */
export async function startContainer(
  root: string,
  id: string,
  registry: DriverRegistry,
  notifySocket?: string,
): Promise<void> {
  const notify = notifySocket === undefined ? undefined : notifyModule();
  const { record, notifications } = whileKept(root, id, () => {
    const found = needRecord(root, id);
    const status = currentStatus(root, found, registry);
    if (status !== "created") throw wrongState(id, status);
    const ready =
      notifySocket === undefined ? undefined : notify?.listenForReady(stateDirectory(root, id), notifySocket);
    giveWord(root, found, registry);
    return { record: found, notifications: ready };
  });
  runPoststart(record);
  if (notifications !== undefined) notify?.waitForReady(notifications, record.pid);
}

/** Gives the word, and listens until the program runs. */
function giveWord(root: string, record: ContainerRecord, registry: DriverRegistry): void {
  const { id } = record;
  const directory = openDirectory(stateDirectory(root, id));
  let connection: number;
  try {
    connection = tryConnectUnix(`/proc/self/fd/${directory}/s`);
  } finally {
    close(directory);
  }
  if (connection < 0) throw lost(-connection);
  try {
    listen(connection, record, registry);
  } finally {
    close(connection);
  }
  tryUnlink(startSocket(root, id));
}

/** runc's words. */
function wrongState(id: string, status: ContainerStatus): Error {
  const [message, hint] =
    status === "running"
      ? ["cannot start an already running container"]
      : status === "paused"
        ? ["cannot start a container in the paused state", `resume ${id} first`]
        : ["cannot start a container that has stopped", `delete ${id} and create it again`];
  return fail({ code: "WRONG_STATE", message, hint });
}

/** As the init reports it: the errno, and the row of its program. */
interface Failure {
  readonly errno: number;
  readonly row: number;
}

function listen(connection: number, record: ContainerRecord, registry: DriverRegistry): void {
  const since = Date.now();
  const { config } = record;
  const data = new Uint8Array(REPORT_SIZE);
  const view = viewOf(data);
  const ear = (config.hooks?.startContainer ?? []).length > 0 ? startEar(config.hooks) : undefined;
  let executing = false;
  let notRun: Failure | undefined;
  try {
    for (;;) {
      if (ear !== undefined) waitHearing(connection, [ear]);
      const { length, fd } = receive(connection, data);
      if (length === 0 && executing) return;
      if (length <= 0)
        throw notRun === undefined ? gone(record, registry, since, -length) : failed(record, notRun);
      const [kind, a, b] = [view.getUint32(0, true), view.getUint32(4, true), view.getUint32(8, true)];
      if (kind === REPORT.executing) executing = true;
      else if (kind === REPORT.descriptor && fd !== undefined) {
        if (ear === undefined) close(fd);
        else ear.begin(a, b, fd);
      } else if (kind === REPORT.hook && ear !== undefined) {
        killInit(record);
        throw notRun === undefined ? ear.failure(a, b) : ear.notRun(notRun.errno);
      } else if (kind === REPORT.failure) {
        // That of a hook's process, where the init's own report of the hook follows.
        const failure = { errno: a, row: b };
        if (ear !== undefined && !executing && notRun === undefined) notRun = failure;
        else throw failed(record, failure);
      }
    }
  } finally {
    ear?.end();
  }
}

/** The init says it and ends: the container has stopped when the error is told. */
function failed(record: ContainerRecord, { errno, row }: Failure): Error {
  killInit(record);
  return lateFailure(record.late ?? [], errno, row);
}

/** Loaded only where the container has such hooks. */
function startEar(hooks: Hooks | undefined): HookEar {
  const { hookEar } = require("./hook-ear.ts") as typeof import("./hook-ear.ts");
  return hookEar(hooks);
}

/** The init is no child of ours: only the log may tell of a filter that has ended it. */
function gone(record: ContainerRecord, registry: DriverRegistry, since: number, errno: number): Error {
  const profile = record.config.linux?.seccomp;
  if (profile === undefined) return lost(errno);
  const { ifSigsys } = require("./sigsys.ts") as typeof import("./sigsys.ts");
  return lost(errno, ifSigsys({ pid: record.pid, since, profile, registry }, "it"));
}

function lost(errno: number, why?: string): Error {
  return fail({
    code: "INIT",
    message: "the container's init ended before its program started",
    errno: errno === 0 ? undefined : errnoName(errno),
    field: why === undefined ? undefined : "linux.seccomp",
    hint: why ?? "somebody killed it, or started it at the same time",
  });
}
