/**
 * `ctr-bun config`: the settings in force, each with where it is from.
 */

import { loadSettings } from "../engine/settings/load.ts";
import { print } from "../kernel/output.ts";
import { usage } from "./argv.ts";
import { verb } from "./command.ts";

export default verb({
  name: "config",
  description: "Show the settings in force and where each is from",
  usage: "[OPTIONS]",
  args: { format: { type: "string", valueHint: "FORMAT", description: "json" } },
  notes: [
    "Keys of config.toml: store, snapshotter, network, cgroup-manager, log-format, log-level, drivers;",
    '[registries."HOST:PORT"] with plain-http, realms, ca, auth-file; [limits] with memory, memory-swap, cpus,',
    "pids-limit, ulimit. A flag beats the environment (CTR_BUN_STORE, ...), which beats the file.",
  ].join("\n"),
  async run({ format }, context) {
    const { origins, file, fileExists } = await loadSettings({
      flags: context.globals,
      env: process.env,
      uid: process.geteuid?.() ?? 0,
      cwd: process.cwd(),
    });
    if (format === "json") {
      print(`${JSON.stringify({ file, fileExists, settings: origins }, undefined, 2)}\n`);
      return 0;
    }
    if (format !== undefined) throw usage(`--format ${format}: it is json`, "config");
    const lines = origins.map(({ key, value, from }) => [`${key} = ${shown(value)}`, `# ${from}`] as const);
    const width = Math.max(...lines.map(([setting]) => setting.length));
    print(`# ${file}${fileExists ? "" : " (not there)"}\n`);
    print(lines.map(([setting, from]) => `${setting.padEnd(width)}  ${from}\n`).join(""));
    return 0;
  },
});

/** As TOML would have it; what is not set is chosen when it is needed. */
function shown(value: unknown): string {
  return value === undefined ? '"" (chosen for this host)' : JSON.stringify(value);
}
