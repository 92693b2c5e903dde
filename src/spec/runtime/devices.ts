/**
 * `linux.devices` and `linux.netDevices` of config.json (config-linux.md, "Devices", "Network Devices").
 * Not here: which devices a container may use (resources.ts).
 */
import * as v from "valibot";
import { lazy, map, object, optional, optionalText, rule } from "../builders.ts";
import { FilledText, Int64, oneOf, Text, Uint32, UserId } from "../scalars.ts";

/** A device node to make in the container. `fileMode` in decimal; file type bits in it are tolerated. */
export const LinuxDevice = lazy(() =>
  v.pipe(
    object({
      type: oneOf("c", "b", "u", "p"),
      path: FilledText,
      major: optional(Int64),
      minor: optional(Int64),
      fileMode: optional(Uint32),
      uid: optional(UserId),
      gid: optional(UserId),
    }),
    rule((device, complain) => {
      if (device.type === "p") return;
      for (const key of ["major", "minor"] as const) {
        if (device[key] === undefined) complain(`is required for a device of type ${device.type}`, key);
      }
    }),
  ),
);
export type LinuxDevice = v.InferOutput<typeof LinuxDevice>;

/** dev_valid_name() of net/core/dev.c: below IFNAMSIZ (16) bytes with the NUL, no `/`, `:` or white space. */
const InterfaceName = v.pipe(
  Text,
  v.check(
    (name) =>
      /^[^\s/:]+$/.test(name) && name !== "." && name !== ".." && new TextEncoder().encode(name).length < 16,
    "must be an interface name of 1 to 15 bytes",
  ),
);

/** A name, or a template in which the kernel puts a number (dev_prep_valid_name() of net/core/dev.c). */
const InterfaceTemplate = v.pipe(
  InterfaceName,
  v.check((name) => /^[^%]*(%d[^%]*)?$/.test(name), 'may have one "%d", and no other "%"'),
);

/** What to do with a host's network device; `name` inside, where it differs. */
export const LinuxNetDevice = lazy(() => object({ name: optionalText(InterfaceTemplate) }));
export type LinuxNetDevice = v.InferOutput<typeof LinuxNetDevice>;

/** By name on the host. */
export const NetDevices = lazy(() => map(LinuxNetDevice, InterfaceName));
