// Runs a bundle with ctr-bun as its own seccomp agent, in a process of its own: BUNDLE STATE ID NAME=ANSWER...
// Every call is counted; one that is named gets its answer (errno:N, value:N), all others go on. Writes to CALLS, a file
// in the bundle, which calls there were, as JSON.
import { readFileSync, writeFileSync } from "node:fs";
import { builtinRegistry } from "../../src/builtin-drivers.ts";
import { syscallNames } from "../../src/kernel/syscall-tables/tables.ts";
import { probeHost } from "../../src/runtime/host.ts";
import { runContainer } from "../../src/runtime/run.ts";
import { parseDocument } from "../../src/spec/parse.ts";
import { RuntimeConfig } from "../../src/spec/runtime/config.ts";

const [bundle = "", root = "", id = "", ...rules] = process.argv.slice(2);
const names = syscallNames(process.arch === "arm64" ? "aarch64" : "x86_64");
const answers = new Map(rules.map((rule) => rule.split("=") as [string, string]));
const calls: string[] = [];
const config = parseDocument(
  RuntimeConfig,
  JSON.parse(readFileSync(`${bundle}/config.json`, "utf8")),
  "config.json",
);
const { code } = await runContainer({
  ...{ root, id, bundle, config },
  registry: builtinRegistry(),
  host: probeHost(),
  answerCalls(call) {
    const name = names.get(call.number) ?? `${call.number}`;
    calls.push(name);
    const [kind, number = "0"] = answers.get(name)?.split(":") ?? [];
    if (kind === "errno") return { errno: Number(number) };
    return kind === "value" ? { value: BigInt(number) } : "continue";
  },
});
writeFileSync(`${bundle}/calls`, JSON.stringify(calls));
process.exit(code);
