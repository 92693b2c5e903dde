/** `ctr-bun seccomp`: the commands for looking at profiles, one file each, loaded when it is called. */
import { group } from "./command.ts";

export default group({
  name: "seccomp",
  description: "Compile, show, explain, compare and record seccomp profiles",
  verbs: {
    compile: async () => (await import("./seccomp/compile.ts")).default,
    disasm: async () => (await import("./seccomp/disasm.ts")).default,
    explain: async () => (await import("./seccomp/explain.ts")).default,
    record: async () => (await import("./seccomp/record.ts")).default,
    diff: async () => (await import("./seccomp/diff.ts")).default,
  },
});
