/** What a new network namespace needs: its loopback device up (netdevice(7)). */
import {
  AF_UNIX,
  IFF_RUNNING,
  IFF_UP,
  SIOCSIFFLAGS,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
} from "../../src/kernel/constants.ts";
import type { InitStep } from "../../src/plan/step.ts";

/** struct ifreq: 16 bytes of name, then the flags. */
function loopbackRequest(): Uint8Array {
  const request = new Uint8Array(40);
  request.set([0x6c, 0x6f]);
  request[16] = IFF_UP | IFF_RUNNING;
  return request;
}

/** Brings `lo` up. Any socket of the namespace will do to ask for it. */
export function loopbackStep(field: string): InitStep {
  return {
    on: "init",
    field,
    about: "bring lo up",
    rows: [
      { call: "socket", args: [AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0], store: "network.socket" },
      { call: "ioctl", args: [{ slot: "network.socket" }, SIOCSIFFLAGS, { bytes: loopbackRequest() }] },
      { call: "close", args: [{ slot: "network.socket" }] },
    ],
  };
}
