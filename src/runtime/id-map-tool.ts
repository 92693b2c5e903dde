/** Maps of a user namespace by newuidmap(1) and newgidmap(1), which may give a user what /etc/subuid and subgid grant. */
import { fail } from "../error.ts";
import type { IdMapAction } from "../plan/step.ts";

/** Throws ID_MAP with what the tool has said. */
export function mapByTool(file: IdMapAction["file"], map: IdMapAction["map"], pid: number): void {
  const [tool, granted, own] =
    file === "uid_map"
      ? ["newuidmap", "/etc/subuid", process.getuid?.()]
      : ["newgidmap", "/etc/subgid", process.getgid?.()];
  const hint = `IDs of others take ${tool} (Debian: uidmap) and a range in ${granted} (usermod --add-sub${file.slice(0, 3)}s); without, map {"containerID": 0, "hostID": ${own}, "size": 1} alone`;
  const path = Bun.which(tool);
  if (path === null) {
    throw fail({ code: "ID_MAP", message: `exec: "${tool}": executable file not found in $PATH`, hint });
  }
  const numbers = map.flatMap(({ containerID, hostID, size }) => [containerID, hostID, size]);
  const { exitCode, stderr } = Bun.spawnSync([path, `${pid}`, ...numbers.map(String)], { stdin: "ignore" });
  if (exitCode === 0) return;
  const said = stderr.toString().trim().replaceAll("\n", "; ");
  throw fail({ code: "ID_MAP", message: `${tool}: ${said || `exit status ${exitCode}`}`, path, hint });
}
