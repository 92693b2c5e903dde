/** Names of a UTS namespace (uts_namespaces(7)): hostname and domainname. */
import type { NamespaceContext } from "../../src/driver.ts";
import type { InitStep } from "../../src/plan/step.ts";

/** Sets the names that the config gives. */
export function namesSteps({ hostname, domainname }: NamespaceContext): InitStep[] {
  const steps: InitStep[] = [];
  for (const [field, call, name] of [
    ["hostname", "sethostname", hostname],
    ["domainname", "setdomainname", domainname],
  ] as const) {
    if (name === undefined || name === "") continue;
    const length = new TextEncoder().encode(name).byteLength;
    steps.push({
      on: "init",
      field,
      about: `set the ${field} to ${name}`,
      rows: [{ call, args: [name, length] }],
      hints: {
        EINVAL: "a host or domain name has at most 64 bytes",
        EPERM: "the uts namespace belongs to another user namespace than the container's",
      },
    });
  }
  return steps;
}
