/**
 * What a pull tells while it works: events, and an aggregator that thins them out for whoever draws them.
 * Not here: drawing (cli/progress.ts).
 */

/** What is happening to one layer. `waiting` also while another process fetches it. */
export type LayerStatus = "waiting" | "downloading" | "downloaded" | "unpacking" | "done" | "exists";

/** One event of a pull. Sizes in bytes. */
export type ProgressEvent =
  /** What a name was found to be: the digest it stands for, and the layers to come, lowest first. */
  | {
      readonly kind: "resolved";
      readonly name: string;
      readonly digest: string;
      readonly platform: string;
      readonly layers: readonly { readonly digest: string; readonly size: number }[];
    }
  /** `done` of `total` bytes have come; when unpacking, have been read by the unpacker. */
  | {
      readonly kind: "layer";
      /** Index in the manifest. */
      readonly layer: number;
      readonly digest: string;
      readonly status: LayerStatus;
      readonly done: number;
      readonly total: number;
    }
  /** A request is tried again: why, and in how many milliseconds. */
  | { readonly kind: "retry"; readonly message: string; readonly delay: number }
  /** Something a person should know; the pull goes on. */
  | { readonly kind: "warning"; readonly message: string };

export type Progress = (event: ProgressEvent) => void;

/** Milliseconds between two events of the same layer that differ in their numbers only. */
const INTERVAL = 100;

/**
 * Passes on what changes at once, and what only grows now and then: a large layer comes in thousands of pieces. A layer
 * that is unpacked while it comes is shown as coming.
 */
export function thinned(progress: Progress, interval = INTERVAL, now = () => performance.now()): Progress {
  const last = new Map<number, { readonly status: LayerStatus; readonly time: number }>();
  return (event) => {
    if (event.kind !== "layer") {
      progress(event);
      return;
    }
    const before = last.get(event.layer);
    if (event.status === "unpacking" && before?.status === "downloading") return;
    const time = now();
    if (before?.status === event.status && time - before.time < interval) return;
    last.set(event.layer, { status: event.status, time });
    progress(event);
  };
}
