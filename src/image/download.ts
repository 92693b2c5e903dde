/**
 * Downloading blobs: several at a time, each once, continued where it broke, readable while it comes.
 * Not here: requests (registry/), partial files (store/ingest.ts), what is done with a blob.
 */
import { type CtrError, fail } from "../error.ts";
import type { RegistryClient } from "./registry/client.ts";
import { isTransient } from "./registry/errors.ts";
import { follow, type Growth, type Ingest, openIngest } from "./store/ingest.ts";
import type { BlobName, Store } from "./store/store.ts";

/** A blob that is here or on its way. */
export interface BlobSource {
  /** Settles when the blob is whole in the store, its digest checked. */
  readonly whole: Promise<void>;
  isSettled(): boolean;
  /** Whether any of it had to be fetched; known when `whole` has settled. */
  wasFetched(): boolean;
  /** Its content from the first byte on; waits for what has not come yet, and fails as the download fails. */
  read(): AsyncGenerator<Uint8Array, void>;
}

/** What {@link createDownloads} needs. */
export interface DownloadOptions {
  readonly store: Store;
  /** Undefined: nothing may be fetched. */
  readonly client: RegistryClient | undefined;
  /** For messages. */
  readonly from: string;
  readonly signal: AbortSignal;
  readonly onProgress: (
    digest: string,
    state: "waiting" | "downloading" | "downloaded",
    done: number,
  ) => void;
}

/** Downloads of one pull. */
export interface Downloads {
  /** The blob's source; a blob is fetched once however often it is asked for. Begins at once, or when its turn comes. */
  get(name: BlobName): BlobSource;
  /** Waits until nothing is written any more, however that ended. */
  settle(): Promise<void>;
}

/** Blobs that are fetched at the same time. */
const PARALLEL = 3;
/** Interruptions of one blob, with some progress between them, after which it is given up. */
const MAX_INTERRUPTIONS = 50;

export function createDownloads(options: DownloadOptions): Downloads {
  const { store } = options;
  const sources = new Map<string, BlobSource>();
  const turns = createTurns(PARALLEL);
  return {
    get(name) {
      const known = sources.get(name.digest);
      if (known !== undefined && (!known.isSettled() || store.hasBlob(name))) return known;
      const source = start(name, options, turns, () => sources.delete(name.digest));
      sources.set(name.digest, source);
      return source;
    },
    async settle() {
      await Promise.allSettled([...sources.values()].map(({ whole }) => whole));
    },
  };
}

/** Lets a number of tasks run at a time, in the order in which they came. */
function createTurns(count: number): <T>(task: () => Promise<T>) => Promise<T> {
  let free = count;
  const queue: (() => void)[] = [];
  return async (task) => {
    if (free > 0) free--;
    else {
      const { promise, resolve } = Promise.withResolvers<void>();
      queue.push(resolve);
      await promise;
    }
    try {
      return await task();
    } finally {
      const next = queue.shift();
      if (next === undefined) free++;
      else next();
    }
  };
}

function start(
  name: BlobName,
  options: DownloadOptions,
  turns: ReturnType<typeof createTurns>,
  forget: () => void,
): BlobSource {
  const { store, signal, onProgress } = options;
  /** What readers follow: the partial file once we write it, the blob once it is there. */
  const growth = createGrowth();
  let isFetched = false;
  let isSettled = false;

  async function run(): Promise<void> {
    signal.throwIfAborted();
    const waiting = () => onProgress(name.digest, "waiting", 0);
    const ingest = await openIngest(store.paths, name, signal, waiting);
    if (ingest === undefined) return;
    isFetched = true;
    growth.begin(ingest.path);
    growth.grow(ingest.length);
    try {
      await fill(ingest, name, options, growth);
      await ingest.commit(options.from);
    } finally {
      ingest.close();
    }
    onProgress(name.digest, "downloaded", name.size);
  }

  const whole = store.hasBlob(name) ? Promise.resolve() : turns(run);
  whole.then(
    () => {
      isSettled = true;
      growth.finish(store.paths.blob(name.digest), name.size);
    },
    (error) => {
      isSettled = true;
      // A damaged partial file is gone now: whoever asks again gets a fresh download.
      forget();
      growth.fail(error);
    },
  );
  return {
    whole,
    isSettled: () => isSettled,
    wasFetched: () => isFetched,
    async *read() {
      while (growth.path === "") await growth.changed();
      yield* follow(growth);
    },
  };
}

/** Fetches until the partial file has the blob's size, over as many connections as it takes. */
async function fill(
  ingest: Ingest,
  name: BlobName,
  { client, signal, onProgress, from }: DownloadOptions,
  growth: WritableGrowth,
): Promise<void> {
  if (ingest.length === name.size) return;
  if (client === undefined) throw missing(name.digest, from);
  let failures = 0;
  for (let interruptions = 0; ingest.length < name.size; interruptions++) {
    const before = ingest.length;
    try {
      const { start: first, chunks } = await client.blob(name.digest, name.size, ingest.length, signal);
      // Without ranges the registry begins anew: what is here already is passed over, the digest will tell.
      let skip = ingest.length - first;
      for await (const chunk of chunks) {
        const fresh = skip === 0 ? chunk : chunk.subarray(Math.min(skip, chunk.byteLength));
        skip -= chunk.byteLength - fresh.byteLength;
        if (fresh.byteLength === 0) continue;
        ingest.write(fresh);
        growth.grow(ingest.length);
        onProgress(name.digest, "downloading", ingest.length);
      }
      if (ingest.length < name.size) throw tooShort(name, ingest.length, from);
    } catch (error) {
      if (!isTransient(error) || interruptions >= MAX_INTERRUPTIONS) throw error;
      failures = ingest.length > before ? 1 : failures + 1;
      await client.pause(failures, error, signal);
    }
  }
}

function tooShort({ digest, size }: BlobName, length: number, from: string): CtrError {
  return fail({
    code: "REGISTRY_INTERRUPTED",
    message: `${from} sent ${length} of the ${size} bytes of ${digest}`,
    hint: "try again",
  });
}

function missing(digest: string, from: string): CtrError {
  return fail({
    code: "NOT_FOUND",
    message: `blob ${digest} of ${from} is not in the store`,
    hint: "pull the image, or leave out --pull never",
  });
}

interface WritableGrowth extends Growth {
  begin(path: string): void;
  grow(length: number): void;
  finish(path: string, size: number): void;
  fail(error: unknown): void;
}

function createGrowth(): WritableGrowth {
  let state = { path: "", length: 0, isDone: false };
  let next = Promise.withResolvers<void>();
  // Nobody may be reading: a failure is then the business of `whole` alone.
  next.promise.catch(() => {});
  let failure: { error: unknown } | undefined;
  const change = (changed: Partial<typeof state>) => {
    state = { ...state, ...changed };
    next.resolve();
    next = Promise.withResolvers<void>();
    next.promise.catch(() => {});
  };
  return {
    get path() {
      return state.path;
    },
    get length() {
      return state.length;
    },
    get isDone() {
      return state.isDone;
    },
    changed: () => (failure === undefined ? next.promise : Promise.reject(failure.error)),
    begin: (path) => change({ path }),
    grow: (length) => change({ length }),
    finish: (path, size) => change({ path, length: size, isDone: true }),
    fail(error) {
      failure = { error };
      next.reject(error);
    },
  };
}
