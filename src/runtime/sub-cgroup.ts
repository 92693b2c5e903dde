/** exec's --cgroup: cgroups below the container's own, as runc takes them. Pure: whether they exist the kernel says. */
import { type CtrError, fail } from "../error.ts";

/** Controller to the path below the container's cgroup; `""` alone: the same path for all. */
export type SubCgroups = ReadonlyMap<string, string>;

type Paths = Readonly<Record<string, string>>;

function bad(message: string, hint?: string): CtrError {
  return fail({ code: "USAGE", field: "--cgroup", message, hint });
}

/** Reads what was given: one `PATH`, or any number of `CONTROLLER[,CONTROLLER...]:PATH`. */
export function parseSubCgroups(given: readonly string[]): SubCgroups | undefined {
  if (given.length === 0) return undefined;
  const paths = new Map<string, string>();
  for (const text of given) {
    const colon = text.indexOf(":");
    if (colon < 0) {
      if (given.length === 1) return new Map([["", text]]);
      throw bad(
        `${JSON.stringify(text)}: the controller is missing`,
        "give CONTROLLER:PATH, or one PATH for all",
      );
    }
    for (const controller of text.slice(0, colon).split(",")) {
      if (controller === "") throw bad(`${JSON.stringify(text)}: empty controller`);
      if (paths.has(controller)) throw bad(`controller ${controller} specified multiple times`);
      paths.set(controller, text.slice(colon + 1));
    }
  }
  return paths;
}

/** What is below the container's directories, by their keys; those that are meant themselves are left out. */
export function subCgroupPaths(paths: Paths, wanted: SubCgroups): Record<string, string> {
  const result: Record<string, string> = {};
  const put = (controller: string, sub: string): void => {
    const path = below(sub);
    if (path !== "") result[controller] = path;
  };
  const all = wanted.get("");
  if (all !== undefined) {
    for (const controller of Object.keys(paths)) put(controller, all);
    return result;
  }
  for (const [controller, sub] of wanted) {
    const directory = Object.hasOwn(paths, controller) ? paths[controller] : undefined;
    if (directory === undefined) {
      const hint = `the container has: ${Object.keys(paths).join(", ")}`;
      throw bad(`unknown controller ${JSON.stringify(controller)}`, hint);
    }
    // Controllers that are mounted together are one cgroup.
    for (const [other, path] of Object.entries(paths)) if (path === directory) put(other, sub);
  }
  return result;
}

/** Cleaned of `.` and `..`, none of which may lead out. */
function below(sub: string): string {
  const parts: string[] = [];
  for (const part of sub.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) throw bad(`${sub} is not a sub cgroup path`);
  }
  return parts.join("/");
}
