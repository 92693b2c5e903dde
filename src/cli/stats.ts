/**
 * `ctr-bun stats`: names in, a table of what containers use out, again every second.
 */
import { requireRoot } from "../engine/engine.ts";
import { type ContainerUsage, watchUsage } from "../engine/stats.ts";
import { print } from "../kernel/output.ts";
import { isTerminal } from "../kernel/terminal.ts";
import { shortID } from "../spec/image/short-id.ts";
import { verb } from "./command.ts";
import { formatAll } from "./format.ts";
import { humanBytes, humanSize } from "./human.ts";
import { table } from "./table.ts";

const STDOUT = 1;
/** Of a container that does not run. */
const NONE = "--";
/** ECMA-48: to the corner; the rest of the line, and of the screen, made empty. */
const [HOME, CLEAR_LINE, CLEAR_BELOW] = ["\x1b[H", "\x1b[K", "\x1b[J"];

export default verb({
  name: "stats",
  description: "Show what containers use, again every second",
  usage: "[OPTIONS] [CONTAINER...]",
  args: {
    all: { type: "boolean", alias: "a", description: "Those too that do not run" },
    "no-stream": { type: "boolean", description: "Show it once" },
    "no-trunc": { type: "boolean", description: "Show all of IDs" },
    format: {
      type: "string",
      valueHint: "FORMAT",
      description: "json, or a template: {{.Name}} {{.CPUPerc}}",
    },
    container: { type: "positional", rest: true, required: false, description: "Names or IDs; all that run" },
  },
  notes: [
    "CPU % is of one CPU. Memory is without files that are not in use; NET I/O is of the container's own network,",
    "without its loopback device. A container that was named and ends stays, with --; when all have, stats ends.",
  ].join("\n"),
  async run({ all, "no-stream": once, "no-trunc": whole, format, container }, context) {
    const engine = await context.engine();
    requireRoot(engine.host, "stats");
    const asTable = format === undefined || /^table\s/.test(format);
    const redraws = asTable && !once && isTerminal(STDOUT);
    if (redraws) print(`${HOME}${CLEAR_BELOW}`);
    watchUsage(engine, {
      names: container,
      all,
      once,
      listener: STDOUT,
      onUsage(usages) {
        const rows = usages.map((each) => row(each, whole));
        const text = format === undefined ? statsTable(rows) : formatAll(rows, format, "stats");
        print(redraws ? `${HOME}${text.replaceAll("\n", `${CLEAR_LINE}\n`)}${CLEAR_BELOW}` : text);
      },
    });
    return 0;
  },
});

/** Docker's fields. */
function row({ record, asked, usage, cpuPercent }: ContainerUsage, whole: boolean) {
  const { id, name } = record;
  const shown = {
    Container: asked === id && !whole ? shortID(id) : asked,
    ID: whole ? id : shortID(id),
    Name: name,
  };
  if (usage === undefined) {
    const both = `${NONE} / ${NONE}`;
    return {
      ...shown,
      ...{ CPUPerc: NONE, MemUsage: both, MemPerc: NONE, NetIO: both, BlockIO: both, PIDs: NONE },
    };
  }
  const { memory, memoryLimit, received, sent, read, written, pids } = usage;
  const share = memoryLimit === 0 ? 0 : (memory / memoryLimit) * 100;
  return {
    ...shown,
    CPUPerc: `${cpuPercent.toFixed(2)}%`,
    MemUsage: `${humanBytes(memory)} / ${humanBytes(memoryLimit)}`,
    MemPerc: `${share.toFixed(2)}%`,
    NetIO: `${humanSize(received)} / ${humanSize(sent)}`,
    BlockIO: `${humanSize(read)} / ${humanSize(written)}`,
    PIDs: String(pids),
  };
}

function statsTable(rows: readonly ReturnType<typeof row>[]): string {
  return table(
    ["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"],
    rows.map(({ ID, Name, CPUPerc, MemUsage, MemPerc, NetIO, BlockIO, PIDs }) => [
      ...[ID, Name, CPUPerc, MemUsage, MemPerc, NetIO, BlockIO, PIDs],
    ]),
  );
}
