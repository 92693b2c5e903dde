/**
 * The overlay snapshotter: layers as directories, put together by overlayfs.
 * What lives here: the driver's face (probe, open). Not here: its records on disk (records.ts), unpacking (image/).
 */
import type { Host, Probe, Snapshotter, SnapshotterFactory } from "../../src/driver.ts";
import { fail } from "../../src/error.ts";

function probe(_host: Host): Probe {
  return { ok: false, why: "not written yet" };
}

function open(root: string): Snapshotter {
  throw fail({ code: "UNSUPPORTED", message: `no overlay snapshotter at ${root} yet` });
}

/** The built-in snapshotter named `overlay`. */
export const overlayFactory: SnapshotterFactory = {
  kind: "snapshotter-factory",
  name: "overlay",
  probe,
  open,
};
