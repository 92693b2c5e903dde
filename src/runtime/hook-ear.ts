/**
 * The other side of hooks that the init runs itself (plan/container-hooks.ts): hears what they say, and makes the error
 * of one that fails. Loaded only where there is such a hook.
 */
import { type CtrError, fail } from "../error.ts";
import { CLD_EXITED, POLLIN } from "../kernel/constants.ts";
import { errnoName, errnoText } from "../kernel/errno.ts";
import { DESCRIPTOR } from "../machine/report.ts";
import type { Hooks } from "../spec/runtime/hooks.ts";
import type { Heard } from "./hearing.ts";
import { listenTo, type Said } from "./hook-said.ts";
import { hookFailure } from "./hooks.ts";

/** Listens to one hook after another. */
export interface HookEar extends Heard {
  /** Whether a descriptor that the init sent is a hook's. */
  takes(which: number): boolean;
  /** The next hook: its kind (a DESCRIPTOR), its place among those, the pipe that it says things into. */
  begin(which: number, index: number, pipe: number): void;
  /** The error of the hook, from the report of its failure: `si_code`, 0 where it took too long, and `si_status`. */
  failure(code: number, status: number): CtrError;
  /** The error of one that could not be run. */
  notRun(errno: number): CtrError;
  /** No hook is under way any more. */
  end(): void;
}

export function hookEar(hooks: Hooks | undefined): HookEar {
  let said: Said | undefined;
  let kind: "createContainer" | "startContainer" = "createContainer";
  let place = 0;
  const end = (): string => {
    const text = said?.end() ?? "";
    said = undefined;
    return text;
  };
  const field = () => `hooks.${kind}[${place}]`;
  const hook = () => hooks?.[kind]?.[place];
  return {
    watches: () => (said === undefined || said.fd() < 0 ? [] : [{ fd: said.fd(), events: POLLIN }]),
    handle([event = 0]) {
      if (event !== 0) said?.read();
    },
    takes: (which) => which === DESCRIPTOR.createContainer || which === DESCRIPTOR.startContainer,
    begin(which, index, pipe) {
      end();
      said = listenTo(pipe);
      kind = which === DESCRIPTOR.startContainer ? "startContainer" : "createContainer";
      place = index;
    },
    failure(code, status) {
      const ending =
        code === CLD_EXITED ? { code: status, signal: undefined } : { code: 128 + status, signal: status };
      const { path = "", timeout } = hook() ?? {};
      return hookFailure(field(), { path, timeout }, { ending, timedOut: code === 0, said: end() });
    },
    notRun(errno) {
      end();
      return fail({
        code: "HOOK",
        field: `${field()}.path`,
        message: `cannot run the hook: ${errnoText(errno)}`,
        path: hook()?.path,
        errno: errnoName(errno),
      });
    },
    end() {
      end();
    },
  };
}
