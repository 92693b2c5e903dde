// Pulls from a registry that misbehaves, and what must be left of them.

import { CtrError } from "../../../src/error.ts";
import type { ProgressEvent } from "../../../src/image/progress.ts";
import { type PullRequest, pullImage } from "../../../src/image/pull.ts";
import { parseReference } from "../../../src/image/reference.ts";
import { type FakeRegistry, startFakeRegistry } from "../../support/fake-registry.ts";
import { imageOf, makePlace, type Place } from "./tools.ts";

/** A registry, a place to pull to, and what was told meanwhile. */
export interface Scene {
  readonly registry: FakeRegistry;
  readonly place: Place;
  readonly events: ProgressEvent[];
  /** Pulls `app:1` of the registry, or what is named, with little patience. */
  pull(name?: string, more?: Partial<PullRequest>): ReturnType<typeof pullImage>;
  /** The error of a pull, after which no image, snapshot, lease or lock may be there. */
  errorOf(pulling: Promise<unknown>): Promise<CtrError>;
  end(): Promise<void>;
}

export function makeScene(): Scene {
  const registry = startFakeRegistry();
  const place = makePlace();
  const events: ProgressEvent[] = [];
  return {
    registry,
    place,
    events,
    pull: (name = `${registry.host}/app:1`, more = {}) =>
      pullImage({
        reference: parseReference(name),
        store: place.store,
        snapshotter: place.snapshotter,
        authFiles: [],
        progress: (event) => events.push(event),
        limits: { backoff: 2, answerTimeout: 500, stallTimeout: 200, tries: 3 },
        ...more,
      }),
    async errorOf(pulling) {
      const error = await pulling.then(
        () => undefined,
        (thrown) => thrown,
      );
      if (!(error instanceof CtrError)) throw new Error(`no error, or a strange one: ${error}`);
      const { snapshots, leases, locks } = place.contents();
      const images = place.store.entries();
      if ([...snapshots, ...leases, ...locks, ...images].length > 0) {
        throw new Error(`left behind: ${JSON.stringify({ snapshots, leases, locks, images })}`);
      }
      return error;
    },
    async end() {
      place.remove();
      await registry.stop();
    },
  };
}

/** An image of one small layer. */
export const small = () => imageOf([{ a: "one" }]);
