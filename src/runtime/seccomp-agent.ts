/** ctr-bun as the seccomp agent of a container that it runs itself. Loaded only where it is one. */
import { POLLIN } from "../kernel/constants.ts";
import { close } from "../kernel/file.ts";
import { answerCall, type CallAnswer, receiveCall, type WaitingCall } from "../kernel/seccomp-notify.ts";
import type { Heard } from "./hearing.ts";

/** Decides what becomes of a call. The thread that makes it waits meanwhile, and so do all others that make one. */
export type AnswerCalls = (call: WaitingCall) => CallAnswer;

/** The agent: first without a listener, then with one, until no process is left under the filter. */
export interface OwnAgent extends Heard {
  begin(listener: number): void;
  /** Closes the listener: calls get ENOSYS from then on. */
  end(): void;
}

export function ownAgent(answer: AnswerCalls): OwnAgent {
  let listener: number | undefined;
  const end = (): void => {
    if (listener !== undefined) close(listener);
    listener = undefined;
  };
  return {
    begin(fd) {
      end();
      listener = fd;
    },
    watches: () => (listener === undefined ? [] : [{ fd: listener, events: POLLIN }]),
    handle([event = 0]) {
      if (event === 0 || listener === undefined) return;
      if ((event & POLLIN) === 0) {
        end();
        return;
      }
      const call = receiveCall(listener);
      if (call !== undefined) answerCall(listener, call.id, answer(call));
    },
    end,
  };
}
