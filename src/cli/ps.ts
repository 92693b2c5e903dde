/**
 * `ctr-bun ps`: arguments in, one call, a table out.
 */

import { type ListedContainer, listContainers } from "../engine/list.ts";
import { print } from "../kernel/output.ts";
import { shortID } from "../spec/image/short-id.ts";
import { verb } from "./command.ts";
import { formatAll } from "./format.ts";
import { humanAge, humanDuration } from "./human.ts";
import { table } from "./table.ts";

export default verb({
  name: "ps",
  description: "List containers",
  usage: "[OPTIONS]",
  args: {
    all: { type: "boolean", alias: "a", description: "Those that have ended too" },
    quiet: { type: "boolean", alias: "q", description: "IDs only" },
    "no-trunc": { type: "boolean", description: "Show all of IDs and commands" },
    format: { type: "string", valueHint: "FORMAT", description: "json, or a template: {{.ID}} {{.Names}}" },
  },
  async run({ all, quiet, "no-trunc": whole, format }, context) {
    const now = Date.now();
    const containers = await listContainers(await context.engine(), all);
    const rows = containers.map((each) => row(each, whole, now));
    if (quiet) print(rows.map(({ ID }) => `${ID}\n`).join(""));
    else if (format !== undefined) print(formatAll(rows, format, "ps"));
    else print(asTable(rows));
    return 0;
  },
});

/** Docker's fields. */
function row({ record, status }: ListedContainer, whole: boolean, now: number) {
  const { config, host, state } = record;
  const command = [...(config.entrypoint ?? []), ...config.cmd].join(" ");
  return {
    ID: whole ? record.id : shortID(record.id),
    Image: record.image.reference,
    Command: JSON.stringify(whole || command.length <= 20 ? command : `${command.slice(0, 19)}…`),
    CreatedAt: record.created,
    RunningFor: humanAge(record.created, now),
    Status: statusText(status.status, status.exitCode, state.startedAt, state.finishedAt, now),
    State: status.status,
    Ports: "",
    Names: record.name,
    Labels: Object.entries(config.labels)
      .map(([name, value]) => `${name}=${value}`)
      .join(","),
    Mounts: record.mounts.map(({ source, destination }) => source || destination).join(","),
    Networks: host.network,
  };
}

function statusText(
  status: string,
  exitCode: number,
  startedAt: string | undefined,
  finishedAt: string | undefined,
  now: number,
): string {
  if (status === "created") return "Created";
  if (status === "running") return `Up ${humanDuration(now - Date.parse(startedAt ?? ""))}`;
  const age = finishedAt === undefined ? "" : ` ${humanAge(finishedAt, now)}`;
  return `Exited (${exitCode})${age}`;
}

function asTable(rows: readonly ReturnType<typeof row>[]): string {
  return table(
    ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"],
    rows.map((each) => [
      each.ID,
      each.Image,
      each.Command,
      each.RunningFor,
      each.Status,
      each.Ports,
      each.Names,
    ]),
  );
}
