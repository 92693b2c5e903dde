/**
 * `linux.netDevices` (config-linux.md, "Network Devices"): the init waits while ctr-bun moves them in, one host step for
 * each, so that hooks, sysctls and the program find them there. Not here: how it is moved (runtime/net-device.ts), a namespace's `lo` (its driver).
 */
import { fail } from "../error.ts";
import { hasNamespace, type PlanInput } from "./input.ts";
import { syncStep } from "./rows.ts";
import type { Step } from "./step.ts";

/** Steps that move all devices, in the order of the config. */
export function netDeviceSteps(input: PlanInput): Step[] {
  const devices = Object.entries(input.config.linux?.netDevices ?? {});
  if (devices.length === 0) return [];
  if (!hasNamespace(input, "network")) {
    throw fail({
      code: "INVALID_CONFIG",
      field: "linux.netDevices",
      message: "unable to move network devices without a private NET namespace",
      hint: 'add {"type": "network"} to linux.namespaces',
    });
  }
  const taken = new Map<string, string>();
  const steps: Step[] = [syncStep("network", "linux.netDevices", "wait for the network devices")];
  for (const [device, { name = device }] of devices) {
    const field = `linux.netDevices[${JSON.stringify(device)}]`;
    const other = taken.get(name);
    if (other !== undefined && !name.includes("%")) {
      throw fail({
        code: "INVALID_CONFIG",
        field: `${field}.name`,
        message: `the container's ${name} is ${other} already`,
        hint: "give each device a name of its own, or a template such as eth%d",
      });
    }
    taken.set(name, device);
    steps.push({
      on: "host",
      field,
      about: `move the network device ${device} into the container${name === device ? "" : ` as ${name}`}`,
      action: { do: "net-device", device, name },
      hints: {
        EPERM: "it takes CAP_NET_ADMIN in both network namespaces",
        EINVAL:
          "the kernel keeps some devices in the namespace that they were made in: lo and bridges, for example",
        EACCES:
          "for an IPv6 address: net.ipv6.conf.*.disable_ipv6 is set in the container's network namespace",
      },
    });
  }
  return steps;
}
