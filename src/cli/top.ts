/**
 * `ctr-bun top`: a name in, a table of the container's processes out.
 */
import { requireRoot } from "../engine/engine.ts";
import { containerTop } from "../engine/top.ts";
import { print } from "../kernel/output.ts";
import { verb } from "./command.ts";
import { table } from "./table.ts";

export default verb({
  name: "top",
  description: "Show the processes of a container",
  usage: "CONTAINER [PS OPTIONS | COLUMN...]",
  args: {
    container: { type: "positional", description: "Name, ID, or the start of an ID" },
    options: {
      type: "positional",
      rest: true,
      required: false,
      description: "-eo pid,user,args; or columns: pid user args",
    },
  },
  stopAtPositional: true,
  notes: [
    "With options of ps (-eo pid,args), PIDs and users are the host's; with names of columns (pid user args), they are",
    "the container's, and hpid, huser, hgroup, hgroups the host's. Columns: args, capamb, capbnd, capeff, capinh, capprm,",
    "comm, etime, group, groups, hgroup, hgroups, hpid, huser, label, nice, pcpu, pgid, pid, ppid, rgroup, rss, ruser,",
    "seccomp, state, stime, time, tty, user, vsz. Nothing of the container is executed.",
  ].join("\n"),
  async run({ container, options }, context) {
    const engine = await context.engine();
    requireRoot(engine.host, "top");
    const processes = containerTop(engine, container, options);
    print("lines" in processes ? processes.lines : table(processes.heading, processes.rows));
    return 0;
  },
});
