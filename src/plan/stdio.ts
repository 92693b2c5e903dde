/**
 * Who owns the standard streams: the program's user, so that it may open them anew (/dev/stdout), as in runc. Never
 * changed are devices that are no terminal: the host's /dev/null among them. Pure.
 */
import {
  AT_EMPTY_PATH,
  S_IFCHR,
  S_IFIFO,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  STATX_BASIC_STATS,
  TCGETS,
} from "../kernel/constants.ts";
import type { IdMapping, Process } from "../spec/runtime/config.ts";
import { jump, row } from "./rows.ts";
import type { InitStep, Row } from "./step.ts";

const WORD = 0xffffffff;
/** Offsets in struct statx (include/uapi/linux/stat.h). */
const STX_UID = 20;
const STX_MODE = 28;

/** Looks at a stream and gives it away where `types` says so; a terminal where `terminals` does. */
function streamRows(name: string, uid: number, types: readonly number[], terminals: boolean): Row[] {
  const buffer = `${name}.statx`;
  const ofType = (type: number, onZero: string): Row =>
    row("test", [{ slot: buffer, offset: STX_MODE }, S_IFMT, type], { onZero });
  return [0, 1, 2].flatMap((fd): Row[] => {
    const own = `${name} ${fd}`;
    const done = `${name} done ${fd}`;
    const terminal = `${name} terminal ${fd}`;
    return [
      row("statx", [fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, { at: buffer }], {
        allow: "any",
        onError: done,
      }),
      row("test", [{ slot: buffer, offset: STX_UID }, WORD, uid], { onZero: done }),
      ...types.map((type) => ofType(type, own)),
      ...(terminals ? [ofType(S_IFCHR, terminal)] : []),
      jump(done),
      ...(terminals
        ? [row("ioctl", [fd, TCGETS, { at: buffer }], { allow: "any", onError: done, label: terminal })]
        : []),
      row("fchown", [fd, uid, -1], { allow: "any", label: own }),
      row("getpid", [], { label: done }),
    ];
  });
}

function step(about: string, name: string, rows: readonly Row[]): InitStep {
  return { on: "init", field: "process.user.uid", about, rows, buffers: { [`${name}.statx`]: 256 } };
}

/** By the container's process, while it may. Root needs no stream to be its own. */
export function stdioStep(process: Process): InitStep[] {
  const { uid } = process.user;
  if (uid === 0 || process.terminal === true) return [];
  return [
    step("own the standard streams", "own", streamRows("own", uid, [S_IFIFO, S_IFSOCK, S_IFREG], true)),
  ];
}

/**
 * By stage 0, which still has the host's rights: inside a user namespace nothing of the host's can be given away. Only
 * pipes are, which are nobody else's.
 */
export function outerStdioStep(process: Process, uidMappings: readonly IdMapping[] | undefined): InitStep[] {
  const { uid } = process.user;
  if (process.terminal === true) return [];
  const range = uidMappings?.find(({ containerID, size }) => uid >= containerID && uid < containerID + size);
  if (range === undefined) return [];
  const hostID = range.hostID + (uid - range.containerID);
  return [
    step("own the standard streams, from outside", "outer", streamRows("outer", hostID, [S_IFIFO], false)),
  ];
}
