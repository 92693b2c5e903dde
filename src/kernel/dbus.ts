/**
 * A client of D-Bus over unix sockets: connecting, calling, waiting for signals. It blocks, and everything it waits for
 * has a deadline: an error says what did not come, and nothing hangs.
 *
 * Ours and not a package: dbus-next 0.10 and @homebridge/dbus-native 0.7 work asynchronously on Node's streams, take 110
 * to 200 ms to load, where a whole container takes less than 20, and give a call no deadline.
 *
 * Not here: messages (dbus-message.ts), what is asked of whom (systemd.ts).
 * Source: D-Bus specification, "Authentication Protocol", "Server Addresses".
 */
import { asCtrError, type CtrError, fail } from "../error.ts";
import { callError } from "./check.ts";
import { MSG_NOSIGNAL, POLLIN, POLLOUT } from "./constants.ts";
import type { DbusValue } from "./dbus-marshal.ts";
import {
  type DbusMessage,
  decodeMessage,
  encodeMessage,
  FIXED_HEADER,
  messageLength,
} from "./dbus-message.ts";
import { ERRNO } from "./errno.ts";
import { close } from "./file.ts";
import { poll } from "./poll.ts";
import { sys } from "./raw.ts";
import { tryConnectStream } from "./socket.ts";

/** A method to call. */
export interface DbusCall {
  /** Left out where there is no bus. */
  readonly destination?: string | undefined;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly signature?: string;
  readonly body?: readonly DbusValue[];
}

/** What a call came to: values, or the name and text of an error. `sender`: who answered, where there is a bus. */
export interface DbusReply {
  readonly body: readonly DbusValue[];
  readonly error: string | undefined;
  readonly text: string;
  readonly sender: string | undefined;
}

/** A connection that is authenticated. Times are in milliseconds. */
export interface DbusConnection {
  /** The socket's path, for errors. */
  readonly path: string;
  /** Calls a method and waits for its answer; an error of the other side's is an answer too. */
  tryCall(call: DbusCall, limit: number): DbusReply;
  /** As {@link tryCall}; throws DBUS where the answer is an error. */
  call(call: DbusCall, limit: number): DbusReply;
  /** The first signal that came since, or comes, of this member for which `is` says true. `what`: for the error. */
  signal(member: string, is: (signal: DbusMessage) => boolean, limit: number, what: string): DbusMessage;
  close(): void;
}

/** Pauses before a full queue is tried again, in milliseconds. */
const [FIRST_PAUSE, LONGEST_PAUSE] = [1, 100];
/** Longest line of the authentication protocol that is taken. */
const MOST_LINE = 4096;
/** Most signals that are kept until somebody waits for them. */
const MOST_SIGNALS = 4096;

/**
 * The sockets of an address (`unix:path=/run/dbus/system_bus_socket;unix:abstract=...`), `@` before abstract ones.
 * Throws DBUS for an address without any.
 */
export function socketsOf(address: string): string[] {
  const sockets: string[] = [];
  for (const one of address.split(";")) {
    if (!one.startsWith("unix:")) continue;
    for (const pair of one.slice("unix:".length).split(",")) {
      const equals = pair.indexOf("=");
      const value = unescapeValue(pair.slice(equals + 1));
      if (pair.startsWith("path=")) sockets.push(value);
      else if (pair.startsWith("abstract=")) sockets.push(`@${value}`);
    }
  }
  if (sockets.length > 0) return sockets;
  throw fail({
    code: "DBUS",
    message: `no address of a unix socket for D-Bus: ${JSON.stringify(address)}`,
    hint: "give one like unix:path=/run/dbus/system_bus_socket",
  });
}

/** `%2f` to `/`. */
function unescapeValue(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    throw fail({ code: "DBUS", message: `not a value of a D-Bus address: ${JSON.stringify(value)}` });
  }
}

/**
 * Connects to the socket at `path`, says who we are (by the kernel's own word, EXTERNAL), and on a bus says hello.
 * @throws SYSCALL where nobody listens, DBUS where the other side refuses, breaks the protocol or takes too long.
 */
export function connectDbus(path: string, bus: boolean, limit: number): DbusConnection {
  const deadline = performance.now() + limit;
  const fd = connectUntil(path, deadline);
  try {
    const socket = new Socket(fd, path);
    authenticate(socket, deadline);
    const connection = connectionOver(socket);
    if (bus) connection.call({ ...THE_BUS, member: "Hello" }, Math.max(deadline - performance.now(), 0));
    return connection;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** The bus itself. */
export const THE_BUS = {
  destination: "org.freedesktop.DBus",
  path: "/org/freedesktop/DBus",
  interface: "org.freedesktop.DBus",
} as const;

function connectUntil(path: string, deadline: number): number {
  for (let pause = FIRST_PAUSE; ; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
    const fd = tryConnectStream(path);
    if (fd >= 0) return fd;
    const late = performance.now() >= deadline;
    if (fd !== -ERRNO.EAGAIN || late)
      throw callError(-fd, { syscall: "connect", path, message: "cannot connect to D-Bus" });
    poll([], pause);
  }
}

/** Bytes in and out, until a deadline. */
class Socket {
  readonly #buffer = new Uint8Array(64 << 10);
  #kept = new Uint8Array(0);
  constructor(
    readonly fd: number,
    readonly path: string,
  ) {}

  late(what: string): CtrError {
    return fail({
      code: "TIMEOUT",
      message: `D-Bus: no answer in time: ${what}`,
      path: this.path,
      hint: "systemd, or the bus, is overloaded or stuck: see systemctl status, and journalctl -u dbus",
    });
  }

  #wait(events: number, deadline: number, what: string): void {
    const left = deadline - performance.now();
    if (left <= 0 || poll([{ fd: this.fd, events }], left)[0] === 0) throw this.late(what);
  }

  write(bytes: Uint8Array, deadline: number, what: string): void {
    for (let done = 0; done < bytes.byteLength; ) {
      const rest = bytes.subarray(done);
      const result = sys("sendto", this.fd, rest, rest.byteLength, MSG_NOSIGNAL, null, 0);
      if (result >= 0) done += result;
      else if (result === -ERRNO.EAGAIN) this.#wait(POLLOUT, deadline, what);
      else if (result !== -ERRNO.EINTR) throw this.gone(-result, what);
    }
  }

  /** The bytes that `find` says are complete: how many from the start, or undefined for more to come. */
  read(find: (bytes: Uint8Array) => number | undefined, deadline: number, what: string): Uint8Array {
    for (;;) {
      const end = find(this.#kept);
      if (end !== undefined) {
        const bytes = this.#kept.slice(0, end);
        this.#kept = this.#kept.subarray(end);
        return bytes;
      }
      // Also where bytes keep coming: a peer that never makes a message of them is late all the same.
      this.#wait(POLLIN, deadline, what);
      const result = sys("recvfrom", this.fd, this.#buffer, this.#buffer.byteLength, 0, null, null);
      if (result === -ERRNO.EAGAIN || result === -ERRNO.EINTR) continue;
      if (result <= 0) throw this.gone(-result, what);
      const joined = new Uint8Array(this.#kept.byteLength + result);
      joined.set(this.#kept);
      joined.set(this.#buffer.subarray(0, result), this.#kept.byteLength);
      this.#kept = joined;
    }
  }

  /** The other side has ended the connection, or it broke. */
  gone(errno: number, what: string): CtrError {
    const message = `D-Bus: the other side has closed the connection: ${what}`;
    if (errno === 0) return fail({ code: "DBUS", message, path: this.path });
    return callError(errno, { syscall: "recvfrom", path: this.path, message: `D-Bus: ${what}` });
  }
}

/** The client's side of SASL with the mechanism EXTERNAL, where the kernel says who is at the socket's other end. */
function authenticate(socket: Socket, deadline: number): void {
  const what = "while saying who we are";
  const hear = (): string => {
    const bytes = socket.read(
      (kept) => {
        const end = kept.indexOf(10);
        if (end < 0 && kept.byteLength > MOST_LINE) {
          throw fail({
            code: "DBUS",
            message: "D-Bus: the other side does not speak its protocol",
            path: socket.path,
          });
        }
        return end < 0 ? undefined : end + 1;
      },
      deadline,
      what,
    );
    return new TextDecoder().decode(bytes).trimEnd();
  };
  // Without an ID of our own: in a user namespace it would be another one than the other side sees. All in one, as
  // systemd's own clients have it: its private socket forgets a message that comes in the same breath as BEGIN.
  socket.write(new TextEncoder().encode("\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n"), deadline, what);
  const first = hear();
  const second = first === "DATA" || first.startsWith("OK") ? hear() : "";
  // A side that needs no word of ours says OK at once, and does not understand the next line.
  if (second.startsWith("OK") || (first.startsWith("OK") && second.startsWith("ERROR"))) return;
  const answer = second === "" || first.startsWith("REJECTED") ? first : second;
  throw fail({
    code: "DBUS",
    message: `D-Bus: the other side does not let us in: ${JSON.stringify(answer.slice(0, 200))}`,
    path: socket.path,
    hint: "the bus is another user's, or wants another way of authentication than EXTERNAL",
  });
}

/** How long the message is that these bytes begin with, where all of it is there. */
function wholeMessage(bytes: Uint8Array): number | undefined {
  if (bytes.byteLength < FIXED_HEADER) return undefined;
  const length = messageLength(bytes);
  return bytes.byteLength < length ? undefined : length;
}

function connectionOver(socket: Socket): DbusConnection {
  const signals: DbusMessage[] = [];
  let serial = 0;
  const next = (deadline: number, what: string): DbusMessage | undefined => {
    try {
      return decodeMessage(socket.read(wholeMessage, deadline, what));
    } catch (thrown) {
      const { code, message, path = socket.path, ...rest } = asCtrError(thrown);
      throw fail({ ...rest, code, message, path });
    }
  };
  const keep = (message: DbusMessage): void => {
    signals.push(message);
    if (signals.length > MOST_SIGNALS) signals.shift();
  };
  const tryCall = (call: DbusCall, limit: number): DbusReply => {
    const deadline = performance.now() + limit;
    const what = `${call.interface}.${call.member}`;
    const { body = [], destination, signature, ...rest } = call;
    const target = {
      ...(destination === undefined ? {} : { destination }),
      ...(signature === undefined ? {} : { signature }),
    };
    const mine = ++serial;
    socket.write(encodeMessage({ ...rest, ...target, body, type: "call", serial: mine }), deadline, what);
    for (;;) {
      const message = next(deadline, what);
      if (message?.type === "signal") keep(message);
      if (message?.replySerial !== mine || (message.type !== "return" && message.type !== "error")) continue;
      const [first] = message.body;
      const text = typeof first === "string" ? first : "";
      return {
        body: message.body,
        error: message.type === "error" ? message.error : undefined,
        text,
        sender: message.sender,
      };
    }
  };
  return {
    path: socket.path,
    tryCall,
    call(call, limit) {
      const reply = tryCall(call, limit);
      if (reply.error === undefined) return reply;
      throw dbusError(call.member, reply, socket.path);
    },
    signal(member, is, limit, what) {
      const deadline = performance.now() + limit;
      for (;;) {
        for (let signal = signals.shift(); signal !== undefined; signal = signals.shift()) {
          if (signal.member === member && is(signal)) return signal;
        }
        const message = next(deadline, what);
        if (message?.type === "signal") keep(message);
      }
    },
    close: () => close(socket.fd),
  };
}

/** The error of a call that the other side answered with one. */
export function dbusError(member: string, { error = "", text }: DbusReply, path?: string): CtrError {
  const denied = error === "org.freedesktop.DBus.Error.AccessDenied";
  const hint = denied ? "this user may not ask that of it (polkit, or the policy of the bus)" : undefined;
  return fail({
    code: "DBUS",
    message: `${member}: ${text === "" ? error : `${text} (${error})`}`,
    path,
    hint,
  });
}
