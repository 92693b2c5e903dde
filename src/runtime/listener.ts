/** Where the listener of a plan's seccomp filter goes. Not here: sending it (seccomp-listener.ts), answering (seccomp-agent.ts). */
import { check } from "../kernel/check.ts";
import { F_DUPFD_CLOEXEC } from "../kernel/constants.ts";
import { sys } from "../kernel/raw.ts";
import type { Plan } from "../plan/step.ts";
import type { State } from "../spec/runtime/state.ts";
import type { ApplyRequest } from "./apply.ts";
import type { OwnAgent } from "./seccomp-agent.ts";

/** What an agent is told of the container. */
export type AgentsState = Omit<State, "ociVersion">;

/** Takes the listener of a process; `state`: of its container, given the process. */
export function takeListener(
  { seccompAgent }: Pick<Plan, "seccompAgent">,
  state: (pid: number) => AgentsState,
  own?: OwnAgent,
): NonNullable<ApplyRequest["onListener"]> {
  return (fd, pid) => {
    if (seccompAgent === undefined || seccompAgent === "own") {
      own?.begin(check(sys("fcntl", fd, F_DUPFD_CLOEXEC, 0), { syscall: "fcntl" }));
      return undefined;
    }
    // Loaded only where there is an agent.
    const { agentSilent, sendListener } =
      require("./seccomp-listener.ts") as typeof import("./seccomp-listener.ts");
    sendListener(seccompAgent, pid, state(pid), fd);
    return () => agentSilent(seccompAgent);
  };
}
