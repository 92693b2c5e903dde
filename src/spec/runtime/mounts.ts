/**
 * `mounts` of config.json and the ID mappings that mounts and user namespaces share (config.md, "Mounts";
 * config-linux.md, "User namespace mappings"). Not here: what an option means (plan).
 */
import * as v from "valibot";
import { lazy, object, optional, optionalText, rule } from "../builders.ts";
import { FilledText, Text, TextList, Uint32 } from "../scalars.ts";

/** A range of IDs: `size` of them, from `containerID` inside and from `hostID` outside. */
export const IdMapping = lazy(() =>
  v.pipe(
    object({ containerID: Uint32, hostID: Uint32, size: Uint32 }),
    rule(({ containerID, hostID, size }, complain) => {
      if (size === 0) complain("must be at least 1", "size");
      // user_namespaces(7): a range must not wrap around 2^32, and 4294967295 is not an ID.
      for (const [key, first] of Object.entries({ containerID, hostID })) {
        if (first + size > 4294967295) complain(`range of ${size} IDs must end below 4294967295`, key);
      }
    }),
  ),
);
export type IdMapping = v.InferOutput<typeof IdMapping>;

/** One mount. A relative `destination` is meant from `/`; a relative bind `source` from the bundle. */
export const Mount = lazy(() =>
  v.pipe(
    object({
      destination: FilledText,
      type: optionalText(Text),
      source: optionalText(Text),
      options: optional(TextList),
      uidMappings: optional(v.array(IdMapping)),
      gidMappings: optional(v.array(IdMapping)),
    }),
    rule((mount, complain) => {
      const uids = mount.uidMappings?.length ?? 0;
      const gids = mount.gidMappings?.length ?? 0;
      if (uids > 0 && gids === 0) complain("is required beside uidMappings", "gidMappings");
      if (gids > 0 && uids === 0) complain("is required beside gidMappings", "uidMappings");
    }),
  ),
);
export type Mount = v.InferOutput<typeof Mount>;
