/** What a service manager gives in the environment: a socket to notify (sd_notify(3)), descriptors (sd_listen_fds(3)). */

/** NOTIFY_SOCKET, where it says anything. */
export function notifySocket(): string | undefined {
  const socket = process.env.NOTIFY_SOCKET;
  return socket === "" ? undefined : socket;
}

/** Descriptors from 3 up that were passed to this very process, and what the container is told of them. */
export function listenDescriptors(): { readonly count: number; readonly env: readonly string[] } {
  const { LISTEN_FDS = "", LISTEN_PID, LISTEN_FDNAMES = "" } = process.env;
  const count = /^[1-9]\d{0,3}$/.test(LISTEN_FDS) && LISTEN_PID === `${process.pid}` ? Number(LISTEN_FDS) : 0;
  if (count === 0) return { count, env: [] };
  // The container's program is the first of its pid namespace.
  const names = LISTEN_FDNAMES === "" ? [] : [`LISTEN_FDNAMES=${LISTEN_FDNAMES}`];
  return { count, env: [`LISTEN_FDS=${count}`, "LISTEN_PID=1", ...names] };
}
