// Who gets which credential: basic authentication, tokens, redirects (rule R6).

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openRepository } from "../../../src/image/registry/client.ts";
import type { RegistryOptions } from "../../../src/image/registry/options.ts";
import {
  type FakeRegistry,
  type Intercept,
  missing,
  startFakeRegistry,
} from "../../support/fake-registry.ts";
import { imageOf } from "./tools.ts";

let registry: FakeRegistry;
let other: FakeRegistry;
let directory: string;
let configPath: string;
const image = imageOf([{ a: "one" }]);

beforeEach(() => {
  registry = startFakeRegistry();
  other = startFakeRegistry();
  registry.put("some/app", image, "1");
  directory = mkdtempSync(join(tmpdir(), "auth-"));
  configPath = join(directory, "config.json");
});
afterEach(async () => {
  await registry.stop();
  await other.stop();
  rmSync(directory, { recursive: true });
});

const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;
const configure = (config: object) => writeFileSync(configPath, JSON.stringify(config));
const storeAuth = (host: string, pair: string) =>
  configure({ auths: { [host]: { auth: Buffer.from(pair).toString("base64") } } });
const open = (options: RegistryOptions = {}) =>
  openRepository(registry.host, "some/app", { authFiles: [configPath], limits: { tries: 1 }, ...options });

/** Wants a token from `realm`, and takes the one named `good`. */
const bearer =
  (realm: string, more = ""): Intercept =>
  ({ headers }) =>
    headers.get("authorization") === "Bearer good"
      ? undefined
      : missing("UNAUTHORIZED", "authentication required", 401, {
          "www-authenticate": `Bearer realm="${realm}",service="the registry",scope="repository:some/app:pull"${more}`,
        });
const giveToken = () => Response.json({ token: "good", expires_in: 60 });

describe("basic authentication", () => {
  const wantBasic: Intercept = ({ headers }) =>
    headers.get("authorization") === basic("me:pass:word")
      ? undefined
      : missing("UNAUTHORIZED", "no", 401, { "www-authenticate": 'Basic realm="x"' });

  test("with what config.json has, and not before it is asked for", async () => {
    registry.intercept(wantBasic);
    storeAuth(registry.host, "me:pass:word");
    const client = open();
    await client.manifest("1");
    await client.manifest("1");
    expect(registry.seen.map(({ headers }) => headers.get("authorization"))).toEqual([
      null,
      basic("me:pass:word"),
      basic("me:pass:word"),
    ]);
  });

  test("a wrong password is tried once, and is not in the error", async () => {
    registry.intercept(wantBasic);
    storeAuth(registry.host, "me:secret");
    const error = await open()
      .manifest("1")
      .catch((thrown) => thrown);
    expect(error.code).toBe("UNAUTHORIZED");
    expect(JSON.stringify([error, error.message, error.hint])).not.toContain("secret");
    expect(registry.seen).toHaveLength(2);
  });

  test("none stored: the error says where to put it", async () => {
    registry.intercept(wantBasic);
    await expect(open().manifest("1")).rejects.toMatchObject({
      hint: expect.stringContaining("config.json"),
    });
  });
});

describe("tokens", () => {
  test("an anonymous one, for our repository's scope, used again", async () => {
    registry.intercept(bearer(`http://${other.host}/token`));
    other.intercept(giveToken);
    const client = open();
    await client.manifest("1");
    await client.manifest("1");
    expect(other.paths()).toEqual(["/token?service=the+registry&scope=repository%3Asome%2Fapp%3Apull"]);
    expect(other.seen[0]?.headers.get("authorization")).toBeNull();
    expect(registry.seen).toHaveLength(3);
  });

  test("with a stored password", async () => {
    registry.intercept(bearer(`http://${other.host}/token`));
    other.intercept(giveToken);
    storeAuth(registry.host, "me:pw");
    await open().manifest("1");
    expect(other.seen[0]?.headers.get("authorization")).toBe(basic("me:pw"));
    expect(registry.seen.map(({ headers }) => headers.get("authorization"))).toEqual([null, "Bearer good"]);
  });

  test("with an identity token, by POST", async () => {
    registry.intercept(bearer(`http://${other.host}/token`));
    other.intercept(() => Response.json({ access_token: "good" }));
    configure({ auths: { [registry.host]: { identitytoken: "refresh-me" } } });
    await open().manifest("1");
    expect(other.seen[0]).toMatchObject({ method: "POST", path: "/token" });
    expect(Object.fromEntries(new URLSearchParams(other.seen[0]?.body))).toEqual({
      service: "the registry",
      client_id: "ctr-bun",
      grant_type: "refresh_token",
      refresh_token: "refresh-me",
      scope: "repository:some/app:pull",
    });
  });

  test("one that has run out is replaced, once for all requests", async () => {
    let valid = "good";
    let count = 0;
    registry.intercept((seen) =>
      seen.headers.get("authorization") === `Bearer ${valid}`
        ? undefined
        : (bearer(`http://${other.host}/token`)(seen) as Response),
    );
    other.intercept(() => Response.json({ token: count++ === 0 ? "good" : "better" }));
    const client = open();
    await client.manifest("1");
    valid = "better";
    registry.intercept((seen) =>
      seen.headers.get("authorization") === "Bearer better"
        ? undefined
        : missing("UNAUTHORIZED", "expired", 401, {
            "www-authenticate": `Bearer realm="http://${other.host}/token"`,
          }),
    );
    await Promise.all([client.manifest("1"), client.manifest("1"), client.manifest("1")]);
    expect(other.seen).toHaveLength(2);
  });

  test("a scope of another repository is not asked for", async () => {
    registry.intercept(bearer(`http://${other.host}/token`, ',scope="repository:private/of-others:push"'));
    other.intercept(giveToken);
    await open().manifest("1");
    expect(other.paths()[0]).toContain("scope=repository%3Asome%2Fapp%3Apull");
  });

  test("a token server that refuses, or gives a header of several lines", async () => {
    registry.intercept(bearer(`http://${other.host}/token`));
    other.intercept(() => missing("DENIED", "bad password", 401));
    await expect(open().manifest("1")).rejects.toMatchObject({ code: "UNAUTHORIZED" });
    other.intercept(() => Response.json({ token: "good\r\nX-Injected: 1" }));
    await expect(open().manifest("1")).rejects.toMatchObject({ code: "REGISTRY" });
  });

  test("a token server that redirects elsewhere gets nothing more", async () => {
    const third = startFakeRegistry();
    registry.intercept(bearer(`http://${other.host}/token`));
    other.intercept(
      () => new Response(null, { status: 307, headers: { location: `http://${third.host}/x` } }),
    );
    third.intercept(giveToken);
    storeAuth(registry.host, "me:pw");
    await open().manifest("1");
    expect(third.seen[0]?.headers.get("authorization")).toBeNull();
    configure({ auths: { [registry.host]: { identitytoken: "refresh-me" } } });
    third.seen.length = 0;
    await expect(open().manifest("1")).rejects.toMatchObject({ code: "REGISTRY" });
    expect(third.seen).toEqual([]);
    await third.stop();
  });
});

describe("a realm elsewhere", () => {
  test("with a stored credential, nothing is sent and the setting is named", async () => {
    registry.intercept(bearer("https://auth.elsewhere.invalid/token"));
    storeAuth(registry.host, "me:pw");
    await expect(open().manifest("1")).rejects.toMatchObject({
      code: "BAD_REALM",
      message: expect.stringContaining('"https://auth.elsewhere.invalid/token"'),
      hint: `if you trust it, name it in the configuration: [registries."${registry.host}"] realms = ["auth.elsewhere.invalid"]`,
    });
  });
});

describe("redirects", () => {
  const redirect = (location: string, status = 307) => new Response(null, { status, headers: { location } });

  test("to another origin: followed without authorization, which does not come back either", async () => {
    const blob = image.blobs[0] ?? new Uint8Array();
    registry.intercept(
      ((usual) => (seen) => {
        if (seen.path.startsWith("/token")) return giveToken();
        if (seen.path.startsWith("/back")) return new Response(new Uint8Array(blob));
        const asked = usual(seen);
        if (asked !== undefined || !seen.path.includes("/blobs/")) return asked;
        return redirect(`http://${other.host}/cdn/blob?signature=x`);
      })(bearer(`http://${registry.host}/token`)),
    );
    other.intercept(() => redirect(`http://${registry.host}/back`));
    const { chunks } = await open().blob(image.config, blob.byteLength, 0);
    const parts: Uint8Array[] = [];
    for await (const chunk of chunks) parts.push(chunk);
    expect(Buffer.concat(parts).equals(Buffer.from(blob))).toBe(true);
    expect(other.seen).toHaveLength(1);
    expect(other.seen[0]?.headers.get("authorization")).toBeNull();
    expect(registry.seen.at(-1)).toMatchObject({ path: "/back" });
    expect(registry.seen.at(-1)?.headers.get("authorization")).toBeNull();
  });

  test("inside the origin: authorization stays", async () => {
    registry.intercept((seen) => {
      if (seen.path.startsWith("/token")) return giveToken();
      const asked = bearer(`http://${registry.host}/token`)(seen);
      return (
        asked ?? (seen.path.includes("some/old") ? redirect("/v2/some/app/manifests/1", 301) : undefined)
      );
    });
    const client = openRepository(registry.host, "some/old", { authFiles: [] });
    expect((await client.manifest("1")).mediaType).toBe(image.mediaType);
  });

  test("in circles, to other schemes, to nowhere: refused", async () => {
    for (const location of [
      `http://${registry.host}/v2/some/app/manifests/1`,
      "ftp://x/y",
      "file:///etc/passwd",
      "",
    ]) {
      registry.intercept(() => redirect(location));
      await expect(open().manifest("1")).rejects.toMatchObject({ code: "REGISTRY" });
    }
  });
});
