/** The runtime's verbs, for the command line and the engine. Each stands in a file of its own. */
export { createContainer } from "./create.ts";
export { deleteContainer } from "./delete.ts";
export { type ContainerEvent, containerStats, watchContainer } from "./events.ts";
export { type ExecRequest, execInContainer } from "./exec.ts";
export { containerState, listContainers } from "./inspect.ts";
export { killContainer } from "./kill.ts";
export { pauseContainer, resumeContainer } from "./pause.ts";
export type { ContainerRequest } from "./prepare.ts";
export { containerProcesses } from "./processes.ts";
export { type ExitStatus, runContainer, runDetached } from "./run.ts";
export { startContainer } from "./start.ts";
export { updateContainer } from "./update.ts";
