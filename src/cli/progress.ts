/**
 * Drawing a pull: bars on a terminal, lines elsewhere. Not here: what there is to tell (image/progress.ts).
 */
import type { Writable } from "node:stream";
import type { MultiBar, Options, Params, SingleBar } from "cli-progress";
import { type LayerStatus, type Progress, type ProgressEvent, thinned } from "../image/progress.ts";
import { humanSize } from "./human.ts";

/** Takes events; `done` puts the terminal in order, and may be called twice. */
export interface DrawnProgress {
  readonly progress: Progress;
  done(): void;
}

/** A stream that may be a terminal. */
type Screen = Writable & { readonly isTTY?: boolean; readonly rows?: number; readonly columns?: number };

/** Docker's words. */
const WORDS: Readonly<Record<LayerStatus, string>> = {
  waiting: "Waiting",
  downloading: "Downloading",
  downloaded: "Download complete",
  unpacking: "Extracting",
  done: "Pull complete",
  exists: "Already exists",
};
/** States worth a line of their own where nothing can be drawn over. */
const LINES: ReadonlySet<LayerStatus> = new Set(["downloaded", "done", "exists"]);
/** Before there is anything to count. */
const PENDING = "Pulling fs layer";
const BAR_WIDTH = 30;

/** Bars if the stream is a terminal with room for them, lines if not. */
export function createProgress(stream: Screen): DrawnProgress {
  const lines = createLines((line) => stream.write(`${line}\n`));
  return stream.isTTY === true ? createLateBars(stream, lines) : lines;
}

/** Bars are loaded when there is something to draw; until then events wait, and at an early end become lines. */
function createLateBars(stream: Screen, lines: DrawnProgress): DrawnProgress {
  const waiting: ProgressEvent[] = [];
  let bars: DrawnProgress | undefined;
  let isDone = false;
  async function load(): Promise<void> {
    const library = await import("cli-progress");
    if (isDone) return;
    bars = createBars(stream, lines, library.MultiBar);
    for (const event of waiting.splice(0)) bars.progress(event);
  }
  const keep = thinned((event) => {
    waiting.push(event);
    // Without bars there are lines.
    if (event.kind === "resolved") load().catch(() => {});
  });
  return {
    progress: (event) => (bars ?? { progress: keep }).progress(event),
    done() {
      isDone = true;
      for (const event of waiting.splice(0)) lines.progress(event);
      bars?.done();
    },
  };
}

function shortID(digest: string): string {
  return digest.slice(digest.indexOf(":") + 1).slice(0, 12);
}

/** Text of events that are not about one layer. */
function lineOf(event: Exclude<ProgressEvent, { kind: "layer" }>): string {
  if (event.kind === "resolved") return `${event.name}: Pulling for ${event.platform}`;
  if (event.kind === "warning") return `warning: ${event.message}`;
  return `${event.message}; trying again in ${(event.delay / 1000).toFixed(1)} s`;
}

function createLines(write: (line: string) => void): DrawnProgress {
  const told = new Map<number, LayerStatus>();
  return {
    progress(event) {
      if (event.kind !== "layer") return write(lineOf(event));
      if (!LINES.has(event.status) || told.get(event.layer) === event.status) return;
      told.set(event.layer, event.status);
      write(`${shortID(event.digest)}: ${WORDS[event.status]}`);
    },
    done: () => undefined,
  };
}

function createBars(stream: Screen, lines: DrawnProgress, Bars: typeof MultiBar): DrawnProgress {
  const bars = new Bars({
    stream,
    format: formatBar,
    hideCursor: true,
    clearOnComplete: false,
    stopOnComplete: false,
    emptyOnZero: true,
    fps: 10,
    gracefulExit: false,
  });
  const byLayer: SingleBar[] = [];
  /** More bars than rows would scroll away and be drawn anew for ever: then lines. */
  let hasRoom = true;
  const progress = (event: ProgressEvent): void => {
    if (!hasRoom) lines.progress(event);
    else if (event.kind === "resolved") {
      hasRoom = event.layers.length < (stream.rows ?? 24) - 2;
      lines.progress(event);
      if (!hasRoom) return;
      for (const { digest, size } of event.layers) {
        byLayer.push(bars.create(Math.max(size, 1), 0, { id: shortID(digest), status: undefined, size }));
      }
    } else if (event.kind === "layer") {
      const { status, done, total } = event;
      const shown = status === "downloading" || status === "unpacking" ? done : 0;
      byLayer[event.layer]?.update(shown, { status, size: total });
    } else bars.log(`${lineOf(event)}\n`);
  };
  let isDone = false;
  return {
    progress: thinned(progress),
    done() {
      if (!isDone && byLayer.length > 0) bars.stop();
      isDone = true;
    },
  };
}

/** What a bar carries besides its numbers. */
interface Payload {
  readonly id: string;
  readonly status: LayerStatus | undefined;
  readonly size: number;
}

function formatBar(_options: Options, { value, progress }: Params, { id, status, size }: Payload): string {
  const words = status === undefined ? PENDING : WORDS[status];
  if (status !== "downloading" && status !== "unpacking") return `${id}: ${words}`;
  const full = Math.min(BAR_WIDTH, Math.max(0, Math.round(progress * BAR_WIDTH)));
  const bar = `${"=".repeat(full)}>`.padEnd(BAR_WIDTH + 1);
  return `${id}: ${words.padEnd(11)} [${bar}] ${humanSize(value)}/${humanSize(size)}`;
}
