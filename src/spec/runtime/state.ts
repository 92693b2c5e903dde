/**
 * The state of a container as `state` prints it and hooks get it on stdin (runtime.md, "State"), and the one
 * sent to a seccomp agent (config-linux.md, "The Container Process State"). Not here: our own state.json.
 */
import * as v from "valibot";
import { lazy, object, optional } from "../builders.ts";
import { FilledText, integer, oneOf, PlainText, TextMap } from "../scalars.ts";
import { SpecVersion } from "../version.ts";

/** The four of the specification; a runtime's `state` may print more of its own, such as `paused`. */
export const STATUSES = ["creating", "created", "running", "stopped"] as const;
export type Status = (typeof STATUSES)[number];

/** A process ID as the runtime sees it; 0 where there is no process (any more). */
const Pid = integer(0, 2147483647);

export const State = lazy(() =>
  object({
    ociVersion: SpecVersion,
    id: FilledText,
    status: oneOf(...STATUSES),
    pid: optional(Pid),
    bundle: FilledText,
    annotations: optional(TextMap),
  }),
);
export type State = v.InferOutput<typeof State>;

/** `fds` names the descriptors that come along (SCM_RIGHTS), in their order. */
export const ContainerProcessState = lazy(() =>
  object({
    ociVersion: SpecVersion,
    fds: optional(v.array(PlainText)),
    pid: Pid,
    metadata: optional(PlainText),
    state: State,
  }),
);
export type ContainerProcessState = v.InferOutput<typeof ContainerProcessState>;
