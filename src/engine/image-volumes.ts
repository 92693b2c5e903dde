/**
 * `VOLUME` of an image: an anonymous volume at each place, unless a person mounts something there.
 */
import { cleanPath } from "./config/command.ts";
import type { MountRequest } from "./config/mount-flags.ts";

/** Requests for an image's volumes, those with a mount of their own left out. Keys are an image's: hostile. */
export function imageVolumes(
  volumes: Readonly<Record<string, unknown>>,
  asked: readonly MountRequest[],
): MountRequest[] {
  const taken = new Set(["/", ...asked.map(({ target }) => target)]);
  const requests: MountRequest[] = [];
  for (const key of Object.keys(volumes).sort()) {
    const target = cleanPath(`/${key}`);
    if (taken.has(target)) continue;
    taken.add(target);
    requests.push({
      type: "volume",
      source: undefined,
      target,
      readonly: false,
      propagation: "rprivate",
      options: [],
      field: `image config.Volumes[${JSON.stringify(key)}]`,
    });
  }
  return requests;
}
