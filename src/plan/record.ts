/** A plan as text: every step with the field that it comes from, and the rows of the init. For golden tests and `plan`. */
import type { Arg, DriverAction, HostAction, IdMapAction, Plan, Row, Step } from "./step.ts";

function bytesText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.subarray(0, 32)).toString("hex");
  return bytes.byteLength > 32 ? `<${bytes.byteLength} bytes ${hex}...>` : `<${hex}>`;
}

function argText(arg: Arg): string {
  if (typeof arg === "string") return JSON.stringify(arg);
  if (typeof arg === "bigint") return `0x${arg.toString(16)}`;
  if (typeof arg === "number") return arg > 4095 ? `0x${arg.toString(16)}` : `${arg}`;
  if ("fd" in arg)
    return `fd:${arg.fd}${arg.plus === undefined ? "" : arg.plus > 0 ? `+${arg.plus}` : arg.plus}`;
  const offset = "offset" in arg && arg.offset !== undefined ? `+${arg.offset}` : "";
  if ("slot" in arg) return `$${arg.slot.replaceAll(" ", "_")}${offset}`;
  if ("at" in arg) return `&${arg.at.replaceAll(" ", "_")}${offset}`;
  if ("label" in arg) return `:${arg.label.replaceAll(" ", "_")}`;
  if ("bytes" in arg) return bytesText(arg.bytes);
  return `[${arg.words.map(argText).join(" ")}]`;
}

function rowText({ call, args, store, allow, onError, onZero, label }: Row): string {
  const place =
    store === undefined ? "" : ` -> ${typeof store === "string" ? argText({ slot: store }) : argText(store)}`;
  const mark = (word: string, name: string | undefined) =>
    name === undefined ? "" : ` ${word} ${argText({ label: name })}`;
  const allowed = allow === undefined ? "" : ` allow ${allow}${mark("then", onError)}`;
  const head = label === undefined ? "" : `${argText({ label })} `;
  return `    ${head}${call}(${args.map(argText).join(", ")})${place}${allowed}${mark("zero", onZero)}`;
}

function mapText(map: IdMapAction["map"]): string {
  return map.map((m) => `${m.containerID} ${m.hostID} ${m.size}`).join(", ");
}

/** What a driver's action does, in more words than its arguments; none where the driver has no more. */
export type Describe = (action: DriverAction) => readonly string[];

function actionText(action: HostAction, describe?: Describe): string {
  switch (action.do) {
    case "mkdir":
      return `mkdir ${action.path} ${action.mode.toString(8)}`;
    case "write":
      return `write ${action.path} ${JSON.stringify(action.data)}`;
    case "write-pid":
      return `write ${action.path} <pid>`;
    case "open":
      return `open ${action.below === undefined ? "" : `${action.below} below `}${action.path} as ${action.as}${action.mountsIn === undefined ? "" : ", the one that was looked at"}`;
    case "id-map": {
      const { file, map, as } = action;
      const how =
        as === "tool"
          ? ` by new${file.replace("_", "")}`
          : as === "own" && file === "gid_map"
            ? " and no setgroups"
            : "";
      return `${file} ${mapText(map)}${how}`;
    }
    case "hooks":
      return action.hooks.map(({ path }) => path).join(", ");
    case "tell-pid":
      return "the pid";
    case "open-init":
      return `open ${action.file} of the init as ${action.as}`;
    case "user-namespace":
      return `as ${action.as}: uid_map ${mapText(action.uid)}; gid_map ${mapText(action.gid)}`;
    case "helper":
      return action.steps
        .map((step) => stepText(step, true).replace("init", "helper").replaceAll("\n", "\n    "))
        .join("\n    ");
    case "copy-up":
      return action.user ? "as root of the user namespace" : "as root";
    case "prlimit":
      return `prlimit ${action.resource} ${action.soft} ${action.hard}`;
    case "scheduler": {
      const { policy, flags, nice, priority, runtime, deadline, period } = action;
      return `sched_setattr ${[policy, flags, nice, priority, runtime, deadline, period].join(" ")}`;
    }
    case "io-priority":
      return `ioprio_set 0x${action.priority.toString(16)}`;
    case "net-device":
      return `net-device ${action.device} as ${action.name}`;
    case "driver":
      return [
        `${action.kind} ${action.name}: ${action.call} ${JSON.stringify(action.args, plain)}`,
        ...(describe?.(action) ?? []),
      ].join("\n      ");
  }
}

/** What JSON has no values for. */
function plain(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return `${value}`;
  return value instanceof Uint8Array ? bytesText(value) : value;
}

function stepText(step: Step, rows: boolean, describe?: Describe): string {
  const head = `${step.on === "init" ? "init" : "host"}  ${step.field}: ${step.about}`;
  if (!rows) return head;
  if (step.on === "host") return `${head}\n    ${actionText(step.action, describe)}`;
  return [head, ...step.rows.map(rowText)].join("\n");
}

/** The plan, a line for each step, and below it (unless `rows` is false) what it does exactly. */
export function recordPlan(plan: Plan, rows = true, describe?: Describe): string {
  const lines = plan.steps.map((step) => stepText(step, rows, describe));
  for (const warning of plan.warnings) lines.push(`warning  ${warning}`);
  return `${lines.join("\n")}\n`;
}
