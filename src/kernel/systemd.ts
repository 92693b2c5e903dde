/**
 * systemd's manager over D-Bus: transient units, their properties, jobs. The system's manager for root, the user's own
 * for everybody else. Not here: what a container's unit is like (drivers/cgroup-systemd).
 * Source: org.freedesktop.systemd1(5).
 */
import { asCtrError, type CtrError, fail } from "../error.ts";
import { S_IFDIR } from "./constants.ts";
import {
  connectDbus,
  type DbusCall,
  type DbusConnection,
  type DbusReply,
  dbusError,
  socketsOf,
  THE_BUS,
} from "./dbus.ts";
import type { DbusValue, Variant } from "./dbus-marshal.ts";
import { statusOf } from "./file.ts";
import { inUserNamespace } from "./namespaces.ts";
import { poll } from "./poll.ts";
import { sys } from "./raw.ts";

/** Whose manager. */
export type SystemdScope = "system" | "user";

/** A property of a unit: its name, and its value with its type. */
export type UnitProperty = readonly [name: string, value: Variant];

/** How long a call, and how long a job may take, in milliseconds; for a job as in runc. */
const CALL_LIMIT = 25_000;
const JOB_LIMIT = 30_000;
/** After how long without word of a job its unit is looked at, in milliseconds: the signal may have been lost. */
const LOOK = 1000;
/** How long a manager that is away is asked again, and after what pauses, in milliseconds. */
const [AWAY_LIMIT, AWAY_PAUSE] = [10_000, 100];

const NAME = "org.freedesktop.systemd1";
const MANAGER = { path: "/org/freedesktop/systemd1", interface: `${NAME}.Manager` };
/** Errors of systemd's that a caller tells apart (bus-common-errors.h). */
export const UNIT_EXISTS = `${NAME}.UnitExists`;
/** Ours: of a job that has ended with anything but "done". */
export const JOB_FAILED = `${NAME}.Job`;
export const NO_SUCH_UNIT = `${NAME}.NoSuchUnit`;
/** What the bus says while the manager is not there: it leaves the bus when it executes itself anew. */
const AWAY =
  /^org\.freedesktop\.DBus\.Error\.(NoReply|ServiceUnknown|NameHasNoOwner|Disconnected|Spawn\..*)$/;

/** As {@link AWAY} where there is no bus. */
const HUNG_UP = "org.freedesktop.DBus.Error.Disconnected";
/** Errors of its own socket's when it executes itself anew: it hangs up, and nobody listens until it is back. */
const NOBODY = new Set(["ECONNREFUSED", "ECONNRESET", "EPIPE"]);

/** A connection to a manager. */
export interface Systemd {
  /** The number in front of its version: 252 of `252.39-1~deb12u1`; 0, which has nothing new, of anything else. */
  version(): number;
  /** The manager's own cgroup, from the root of the hierarchy. */
  controlGroup(): string;
  /** Properties of a unit, by name; those that it does not have are left out. `kind`: Scope, Slice, Unit. */
  unitProperties(unit: string, kind: string, names: readonly string[]): Map<string, Variant>;
  /**
   * Starts a transient unit and waits until it is active. The error's name where systemd refuses it. `onAccepted`: it has
   * not, and whatever happens from then on, the unit is what was asked for.
   */
  tryStart(unit: string, properties: readonly UnitProperty[], onAccepted?: () => void): DbusReply;
  /** Stops a unit and waits until that is done; false where there is none. */
  stop(unit: string): boolean;
  /** Forgets that a unit has failed, upon which a transient one goes. What is not there, or has not failed, is fine. */
  resetFailed(unit: string): void;
  /**
   * Changes properties of a unit, and waits until they are in its cgroup. They last as long as the unit; false where
   * there is none.
   */
  setProperties(unit: string, properties: readonly UnitProperty[]): boolean;
  /** Moves processes into a unit's cgroup, or one below it (`/` and its name, or nothing). */
  attach(unit: string, below: string, pids: readonly number[]): void;
  close(): void;
}

/** Whose manager has ctr-bun's units: root's of the host the system's, everybody else their own. */
export function systemdScope(): SystemdScope {
  return sys("geteuid") === 0 && !inUserNamespace() ? "system" : "user";
}

/** Whether systemd is PID 1 (sd_booted(3)). */
export function isBooted(): boolean {
  return statusOf("/run/systemd/system")?.type === S_IFDIR;
}

/** Where a manager may listen: buses first, then its own socket, on which there is no bus. */
function candidates(scope: SystemdScope): { path: string; bus: boolean }[] {
  const { DBUS_SYSTEM_BUS_ADDRESS, DBUS_SESSION_BUS_ADDRESS, XDG_RUNTIME_DIR } = process.env;
  const directory = XDG_RUNTIME_DIR || `/run/user/${sys("geteuid")}`;
  const [address, bus, own] =
    scope === "system"
      ? [DBUS_SYSTEM_BUS_ADDRESS, "/run/dbus/system_bus_socket", "/run/systemd/private"]
      : [DBUS_SESSION_BUS_ADDRESS, `${directory}/bus`, `${directory}/systemd/private`];
  const buses = address ? socketsOf(address) : [bus];
  return [...buses.map((path) => ({ path, bus: true })), { path: own, bus: false }];
}

/**
 * Connects to the manager. Throws SYSTEMD where it cannot be reached, with every socket that was tried.
 */
export function connectSystemd(scope = systemdScope()): Systemd {
  const refusals: CtrError[] = [];
  for (const { path, bus } of candidates(scope)) {
    try {
      return systemdOver(bus ? connectDbus(path, bus, CALL_LIMIT) : connectPatiently(path), bus);
    } catch (thrown) {
      refusals.push(asCtrError(thrown));
      // One that hangs must not be waited for as often as there are sockets.
      if (asCtrError(thrown).code === "TIMEOUT") break;
    }
  }
  const tried = refusals.map(({ path, message }) => `${path}: ${message}`).join("; ");
  throw fail({
    code: "SYSTEMD",
    message: `cannot reach ${scope === "system" ? "systemd" : "this user's systemd"} over D-Bus: ${tried}`,
    hint:
      scope === "system"
        ? "is it running, and is /run/systemd/private or the system bus to be seen from here?"
        : "log in (su and sudo are no login), or let the user's systemd run without one: loginctl enable-linger USER; XDG_RUNTIME_DIR must be set; Debian has the bus in dbus-user-session",
    cause: refusals[0],
  });
}

/** Connects to a manager's own socket, also where it is away for a moment. `left`: it was there, and its socket may go. */
function connectPatiently(path: string, left = false): DbusConnection {
  const deadline = performance.now() + AWAY_LIMIT;
  for (;;) {
    try {
      return connectDbus(path, false, CALL_LIMIT);
    } catch (thrown) {
      const { errno = "" } = asCtrError(thrown);
      const isAway = NOBODY.has(errno) || (left && errno === "ENOENT");
      if (!isAway || performance.now() >= deadline) throw thrown;
      poll([], AWAY_PAUSE);
    }
  }
}

/** Whether the other side has closed the connection, or it broke. */
function isHungUp({ code, errno = "" }: CtrError): boolean {
  return code === "DBUS" || NOBODY.has(errno);
}

/** The one value of an answer to Properties.Get. Throws DBUS for anything else. */
function variantOf({ body: [value] }: DbusReply): Variant {
  if (typeof value === "object" && "signature" in value) return value;
  throw fail({ code: "DBUS", message: "systemd has answered with something that is no property" });
}

/** The error of a call. That the manager is away for a moment is nothing that a name or a permission would mend. */
function systemdError(member: string, reply: DbusReply, path: string): CtrError {
  const error = dbusError(member, reply, path);
  if (!AWAY.test(reply.error ?? "")) return error;
  const { code, message } = error;
  const hint = "systemd was just being restarted (systemctl daemon-reexec), or is stuck: try again";
  return fail({ code, message, path, hint });
}

function systemdOver(first: DbusConnection, bus: boolean): Systemd {
  const destination = bus ? NAME : undefined;
  let connection = first;
  let hears = false;
  /** A bus stays, and says that the manager is away. Without one the connection ends with it, and is made anew. */
  const tryCall = (call: DbusCall): DbusReply => {
    try {
      return connection.tryCall(call, CALL_LIMIT);
    } catch (thrown) {
      const error = asCtrError(thrown);
      if (bus || !isHungUp(error)) throw thrown;
      const next = connectPatiently(connection.path, true);
      connection.close();
      connection = next;
      return { body: [], error: HUNG_UP, text: error.message, sender: undefined };
    }
  };
  const tryManager = (member: string, signature: string, ...body: DbusValue[]): DbusReply =>
    tryCall({ ...MANAGER, member, signature, body, destination });
  /** What may be asked twice without harm is asked until the manager is there. */
  const persistently = (ask: () => DbusReply): DbusReply => {
    const deadline = performance.now() + AWAY_LIMIT;
    for (;;) {
      const reply = ask();
      if (!AWAY.test(reply.error ?? "") || performance.now() >= deadline) return reply;
      poll([], AWAY_PAUSE);
    }
  };
  const need = (member: string, reply: DbusReply): DbusReply => {
    if (reply.error === undefined) return reply;
    throw systemdError(member, reply, connection.path);
  };
  /** Only who has asked for it is told of jobs. */
  const listen = (): void => {
    if (hears) return;
    const rule = `type='signal',sender='${NAME}',interface='${MANAGER.interface}',member='JobRemoved'`;
    if (bus) connection.call({ ...THE_BUS, member: "AddMatch", signature: "s", body: [rule] }, CALL_LIMIT);
    persistently(() => tryManager("Subscribe", ""));
    hears = true;
  };
  const pathOf = (unit: string): string | undefined => {
    const reply = persistently(() => tryManager("GetUnit", "s", unit));
    return reply.error === NO_SUCH_UNIT ? undefined : String(need("GetUnit", reply).body[0]);
  };
  const propertyOf = (path: string, owner: string, name: string): DbusReply =>
    persistently(() =>
      tryCall({
        path,
        interface: "org.freedesktop.DBus.Properties",
        member: "Get",
        signature: "ss",
        body: [owner, name],
        destination,
      }),
    );
  const managerProperty = (name: string): string => {
    const reply = propertyOf(MANAGER.path, MANAGER.interface, name);
    return String(variantOf(need(`property ${name}`, reply)).value);
  };
  const unitProperties = (unit: string, kind: string, names: readonly string[]): Map<string, Variant> => {
    const found = new Map<string, Variant>();
    const path = pathOf(unit);
    if (path === undefined) return found;
    for (const name of names) {
      const reply = propertyOf(path, `${NAME}.${kind}`, name);
      if (reply.error === undefined) found.set(name, variantOf(reply));
    }
    return found;
  };
  /** On a bus anybody may send anybody a signal: it counts from who has answered the call, or has its name by now. */
  const isManager = (sender: string | undefined, answered: string | undefined): boolean => {
    if (sender === answered || !bus) return true;
    const call = { ...THE_BUS, member: "GetNameOwner", signature: "s", body: [NAME] };
    return connection.tryCall(call, CALL_LIMIT).body[0] === sender;
  };
  /** What a job came to that is no more: read off its unit. Undefined where it still runs. */
  const outcome = (unit: string, wanted: "active" | "inactive"): string | undefined => {
    const now = unitProperties(unit, "Unit", ["Job", "ActiveState"]);
    const job = now.get("Job")?.value;
    if (Array.isArray(job) && job[0] !== 0) return undefined;
    const state = now.get("ActiveState")?.value ?? "inactive";
    return state === wanted || (wanted === "inactive" && state === "failed") ? "done" : "failed";
  };
  /** Waits for a job; what it came to, `done` where it went well. */
  const jobResult = ({ body, sender }: DbusReply, unit: string, wanted: "active" | "inactive"): string => {
    const [job] = body;
    const deadline = performance.now() + JOB_LIMIT;
    for (;;) {
      const left = deadline - performance.now();
      try {
        const { body: removed } = connection.signal(
          "JobRemoved",
          (signal) => signal.body[1] === job && isManager(signal.sender, sender),
          Math.max(Math.min(LOOK, left), 0),
          `systemd to ${wanted === "active" ? "start" : "stop"} ${unit}`,
        );
        return String(removed[3]);
      } catch (thrown) {
        const error = asCtrError(thrown);
        if (error.code !== "TIMEOUT" && (bus || !isHungUp(error))) throw thrown;
        const result = outcome(unit, wanted);
        if (result !== undefined) return result;
        if (left <= LOOK) throw thrown;
      }
    }
  };
  return {
    version: () => Number(/^v?(\d+)/.exec(managerProperty("Version"))?.[1] ?? 0),
    controlGroup: () => managerProperty("ControlGroup"),
    unitProperties,
    tryStart(unit, properties, onAccepted) {
      listen();
      const listed = properties.map(([name, value]) => [name, value]);
      // One that was lost on its way is asked for again; where it was not, its process is in the unit that is in the way.
      const reply = persistently(() =>
        tryManager("StartTransientUnit", "ssa(sv)a(sa(sv))", unit, "replace", listed, []),
      );
      if (AWAY.test(reply.error ?? "")) throw systemdError("StartTransientUnit", reply, connection.path);
      if (reply.error !== undefined) return reply;
      onAccepted?.();
      const result = jobResult(reply, unit, "active");
      if (result === "done") return reply;
      return { ...reply, error: JOB_FAILED, text: `the job ended with "${result}"` };
    },
    stop(unit) {
      // Most often it is gone already, with its last process: then nobody need be told of jobs.
      if (pathOf(unit) === undefined) return false;
      listen();
      const reply = persistently(() => tryManager("StopUnit", "ss", unit, "replace"));
      if (reply.error === NO_SUCH_UNIT) return false;
      jobResult(need("StopUnit", reply), unit, "inactive");
      return true;
    },
    resetFailed(unit) {
      tryManager("ResetFailedUnit", "s", unit);
    },
    setProperties(unit, properties) {
      if (properties.length === 0) return true;
      const listed = properties.map(([name, value]) => [name, value]);
      const change = (): DbusReply => tryManager("SetUnitProperties", "sba(sv)", unit, true, listed);
      const reply = persistently(change);
      if (reply.error === NO_SUCH_UNIT) return false;
      need("SetUnitProperties", reply);
      // systemd changes files of the cgroup once it has answered, and before it takes the next message.
      return pathOf(unit) !== undefined;
    },
    attach(unit, below, pids) {
      const attached = () => tryManager("AttachProcessesToUnit", "ssau", unit, below, [...pids]);
      need("AttachProcessesToUnit", persistently(attached));
    },
    close: () => connection.close(),
  };
}
