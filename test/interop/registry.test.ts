// Real peers: docker-registry serves what skopeo pushed, and skopeo reads our store as it is.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { resolveImage } from "../../src/image/images.ts";
import { inspectImage } from "../../src/image/inspect.ts";
import { type PullRequest, pullImage } from "../../src/image/pull.ts";
import { parseReference } from "../../src/image/reference.ts";
import { imagePath } from "../support/images.ts";
import { type Registry, startRegistry } from "../support/registry.ts";
import { makePlace, type Place } from "../unit/image/tools.ts";

const user = { name: "me", password: "pass word:ü" };
let open: Registry;
let closed: Registry;
let place: Place;
let directory: string;
beforeAll(async () => {
  open = await startRegistry();
  closed = await startRegistry({ user });
});
afterAll(async () => {
  await open.stop();
  await closed.stop();
});
beforeEach(() => {
  place = makePlace();
  directory = mkdtempSync(join(tmpdir(), "interop-"));
});
afterEach(() => {
  place.remove();
  rmSync(directory, { recursive: true });
});

const pull = (name: string, more: Partial<PullRequest> = {}) =>
  pullImage({
    reference: parseReference(name),
    store: place.store,
    snapshotter: place.snapshotter,
    authFiles: [],
    ...more,
  });
const skopeo = (...args: string[]) => {
  const child = Bun.spawnSync(["skopeo", ...args]);
  if (child.exitCode !== 0) throw new Error(child.stderr.toString());
  return child.stdout.toString();
};

describe("an image that skopeo pushed", () => {
  test("is pulled with the same digests, config and layers", async () => {
    const name = open.push(imagePath("busybox"), "1", "some/busybox:1");
    const pulled = await pull(name);
    const raw = skopeo("inspect", "--raw", "--tls-verify=false", `docker://${name}`);
    const manifest = JSON.parse(raw);
    expect(pulled.digest).toBe(`sha256:${new Bun.CryptoHasher("sha256").update(raw).digest("hex")}`);
    expect(pulled.id).toBe(manifest.config.digest);
    expect(readFileSync(place.store.paths.blob(pulled.digest), "utf8")).toBe(raw);
    for (const { digest, size } of manifest.layers) {
      const bytes = readFileSync(place.store.paths.blob(digest));
      expect(bytes.byteLength).toBe(size);
      expect(`sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`).toBe(digest);
    }
    const config = JSON.parse(skopeo("inspect", "--config", "--tls-verify=false", `docker://${name}`));
    expect(pulled.config.rootfs.diff_ids).toEqual(config.rootfs.diff_ids);
    expect(inspectImage(place.store, resolveImage(place.store, name).image)).toMatchObject({
      Id: manifest.config.digest,
      RepoTags: [name],
      RepoDigests: [`${open.host}/some/busybox@${pulled.digest}`],
      Architecture: config.architecture,
      Os: "linux",
      Config: { Entrypoint: config.config.Entrypoint },
      RootFS: { Type: "layers", Layers: config.rootfs.diff_ids },
    });
  });

  test("in Docker's format, and by digest", async () => {
    const name = open.push(imagePath("busybox"), "1", "some/docker:1");
    skopeo(
      "copy",
      "--quiet",
      "--insecure-policy",
      "--format=v2s2",
      "--src-tls-verify=false",
      "--dest-tls-verify=false",
      `docker://${name}`,
      `docker://${open.host}/some/docker:2`,
    );
    const pulled = await pull(`${open.host}/some/docker:2`);
    expect(pulled.manifest.mediaType).toBe("application/vnd.docker.distribution.manifest.v2+json");
    expect(await pull(`${open.host}/some/docker@${pulled.digest}`)).toMatchObject({
      id: pulled.id,
      wasPresent: false,
    });
  });

  test("with odd layers: all compressions, many members, sparse files, whiteouts", async () => {
    const pulled = await pull(open.push(imagePath("odd"), "1", "odd:1"));
    expect(place.snapshotter.stat(pulled.chainID ?? "")?.kind).toBe("committed");
  });

  test("that is not there is not found, under its name", async () => {
    open.push(imagePath("busybox"), "1", "some/busybox:1");
    await expect(pull(`${open.host}/some/busybox:2`)).rejects.toMatchObject({
      code: "NOT_FOUND",
      message: expect.stringContaining(
        `registry ${open.host} has no tag "2" in repository some/busybox (404: MANIFEST_UNKNOWN`,
      ),
    });
    await expect(pull(`${open.host}/none:1`)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});

describe("our store", () => {
  test("is read by skopeo as it is, and copied from it to a registry", async () => {
    const name = open.push(imagePath("busybox"), "1", "some/busybox:1");
    const { id } = await pull(name);
    const inspected = JSON.parse(skopeo("inspect", `oci:${place.store.root}:${name}`));
    expect(inspected.Architecture).toBe(place.store.entries()[0]?.manifest.platform?.architecture);
    const copy = `docker://${open.host}/copied:1`;
    skopeo(
      "copy",
      "--quiet",
      "--insecure-policy",
      "--dest-tls-verify=false",
      `oci:${place.store.root}:${name}`,
      copy,
    );
    expect(JSON.parse(skopeo("inspect", "--raw", "--tls-verify=false", copy)).config.digest).toBe(id);
  });

  test("shows what skopeo copied into it", async () => {
    const name = open.push(imagePath("busybox"), "1", "some/busybox:1");
    skopeo(
      "copy",
      "--quiet",
      "--insecure-policy",
      "--src-tls-verify=false",
      `docker://${name}`,
      `oci:${place.store.root}:docker.io/library/copied:1`,
    );
    expect(resolveImage(place.store, "copied:1").image.id).toBe((await pull(name)).id);
    expect((await pull("copied:1", { policy: "never" })).chainID).toBeDefined();
  });
});

describe("basic authentication", () => {
  const auth = Buffer.from(`${user.name}:${user.password}`).toString("base64");
  test("with config.json", async () => {
    const name = closed.push(imagePath("busybox"), "1", "some/busybox:1");
    const file = join(directory, "config.json");
    writeFileSync(file, JSON.stringify({ auths: { [closed.host]: { auth } } }));
    expect((await pull(name, { authFiles: [file] })).id).toStartWith("sha256:");
  });

  test("without, or with another password: refused, and nothing is left", async () => {
    const name = closed.push(imagePath("busybox"), "1", "some/busybox:1");
    const wrong = { username: user.name, password: "wrong" };
    for (const more of [{}, { credential: wrong }]) {
      await expect(pull(name, more)).rejects.toMatchObject({
        code: "UNAUTHORIZED",
        message: expect.stringContaining(
          `registry ${closed.host} refuses access to repository some/busybox (401`,
        ),
        hint: expect.stringContaining("config.json"),
      });
    }
    expect(place.contents()).toEqual({ blobs: [], partials: [], leases: [], locks: [], snapshots: [] });
  });
});
