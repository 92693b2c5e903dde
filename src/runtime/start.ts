/** OCI start: a word on the start socket; *executing* and then the end of the connection mean that the program runs. */
import type { DriverRegistry } from "../driver.ts";
import { fail } from "../error.ts";
import { errnoName } from "../kernel/errno.ts";
import { close, openDirectory, tryUnlink } from "../kernel/file.ts";
import { viewOf } from "../kernel/memory.ts";
import { receive, tryConnectUnix } from "../kernel/socket.ts";
import { REPORT, REPORT_SIZE } from "../machine/report.ts";
import { startFailure } from "./failure.ts";
import { runPoststart } from "./poststart.ts";
import { type ContainerStatus, needRecord, startSocket, stateDirectory } from "./state.ts";
import { currentStatus } from "./status.ts";

export async function startContainer(root: string, id: string, registry: DriverRegistry): Promise<void> {
  const record = needRecord(root, id);
  const status = currentStatus(root, record, registry);
  if (status !== "created") throw wrongState(id, status);
  const directory = openDirectory(stateDirectory(root, id));
  let connection: number;
  try {
    connection = tryConnectUnix(`/proc/self/fd/${directory}/s`);
  } finally {
    close(directory);
  }
  if (connection < 0) throw lost(-connection);
  try {
    listen(connection, record.config.process?.args[0] ?? "");
  } finally {
    close(connection);
  }
  tryUnlink(startSocket(root, id));
  runPoststart(record);
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

function listen(connection: number, program: string): void {
  const data = new Uint8Array(REPORT_SIZE);
  const view = viewOf(data);
  let executing = false;
  for (;;) {
    const { length } = receive(connection, data);
    if (length === 0 && executing) return;
    if (length <= 0) throw lost(-length);
    const kind = view.getUint32(0, true);
    if (kind === REPORT.executing) executing = true;
    else if (kind === REPORT.failure) throw startFailure(view.getUint32(4, true), program);
  }
}

function lost(errno: number): Error {
  return fail({
    code: "INIT",
    message: "the container's init ended before its program started",
    errno: errno === 0 ? undefined : errnoName(errno),
    hint: "somebody killed it, or started it at the same time",
  });
}
