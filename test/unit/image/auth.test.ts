// Who gets which credential (rule R6), and where credentials are found.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseChallenges } from "../../../src/image/registry/challenge.ts";
import { openRepository } from "../../../src/image/registry/client.ts";
import { authFiles, findCredential } from "../../../src/image/registry/credentials.ts";
import type { RegistryOptions } from "../../../src/image/registry/options.ts";
import { checkRealm } from "../../../src/image/registry/realm.ts";
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
  const ask = (realm: string, more: object = {}) =>
    checkRealm({
      registry: "registry.example.com",
      endpoint: new URL("https://registry.example.com/"),
      realm,
      hasCredential: true,
      trusted: [],
      ...more,
    });
  const local = { registry: "127.0.0.1:5000", endpoint: new URL("http://127.0.0.1:5000/") };
  const hub = { registry: "docker.io", endpoint: new URL("https://registry-1.docker.io/") };

  for (const [realm, more] of [
    ["https://registry.example.com/token", {}],
    ["https://registry.example.com:8443/token", {}],
    ["https://auth.example.com/token", {}],
    ["https://auth.docker.io/token", hub],
    ["https://elsewhere.example.net/token", { trusted: ["elsewhere.example.net"] }],
    ["https://elsewhere.example.net:444/token", { trusted: ["elsewhere.example.net:444"] }],
    ["https://elsewhere.example.net/token", { hasCredential: false }],
    ["http://127.0.0.1:5001/token", local],
    ["http://localhost:5001/token", local],
  ] as const) {
    test(`${realm} is asked ${JSON.stringify(more)}`, async () => {
      expect((await ask(realm, more)).href).toBe(realm);
    });
  }

  for (const [realm, more] of [
    ["https://elsewhere.example.net/token", {}],
    ["https://example.com.evil.net/token", {}],
    ["https://evil-example.com/token", {}],
    ["http://registry.example.com/token", {}],
    ["http://registry.example.com/token", { hasCredential: false }],
    ["http://elsewhere.example.net/token", { trusted: ["elsewhere.example.net"] }],
    ["https://169.254.169.254/token", { hasCredential: false }],
    ["https://127.0.0.1/token", { hasCredential: false }],
    ["https://[::1]/token", { hasCredential: false }],
    ["https://localhost/token", { hasCredential: false }],
    ["file:///etc/passwd", { hasCredential: false }],
    ["nonsense", { hasCredential: false }],
    ["https://user:pw@registry.example.com/token", {}],
    ["http://elsewhere.example.net/token", local],
    ["https://b.github.io/token", { registry: "a.github.io", endpoint: new URL("https://a.github.io/") }],
    ["https://evil.co.uk/token", { registry: "good.co.uk", endpoint: new URL("https://good.co.uk/") }],
  ] as const) {
    test(`${realm} is refused ${JSON.stringify(more)}`, async () => {
      await expect(ask(realm, more)).rejects.toMatchObject({
        code: "BAD_REALM",
        hint: expect.stringContaining("realms = ["),
      });
    });
  }

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
    let hops = 0;
    registry.intercept((seen) =>
      seen.path.includes("/blobs/") && hops++ === 0
        ? redirect(`http://${other.host}/cdn/blob?signature=x`)
        : seen.path.includes("/back")
          ? new Response(new Uint8Array(blob))
          : (bearer(`http://${registry.host}/token`)(seen) as Response | undefined),
    );
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

describe("where credentials are found", () => {
  const find = (registryName: string, repository = "some/app") =>
    findCredential(registryName, repository, [configPath]);

  test("keys as Docker and Podman write them", async () => {
    const auth = Buffer.from("u:p").toString("base64");
    configure({
      auths: {
        "https://index.docker.io/v1/": { auth },
        "https://reg.example/v2/": { auth },
        "quay.io/team": { username: "team", password: "x" },
        "quay.io": { auth },
        "empty.example": {},
      },
    });
    const user = { username: "u", password: "p" };
    expect(await find("docker.io")).toEqual(user);
    expect(await find("reg.example")).toEqual(user);
    expect(await find("quay.io", "team/app")).toEqual({ username: "team", password: "x" });
    expect(await find("quay.io", "teams/app")).toEqual(user);
    expect(await find("empty.example")).toBeUndefined();
    expect(await find("evilreg.example")).toBeUndefined();
  });

  test("a file that is no JSON, or has no user, is named", async () => {
    writeFileSync(configPath, "{");
    await expect(find("x.example")).rejects.toMatchObject({ field: expect.stringContaining(configPath) });
    configure({ auths: { "x.example": { auth: Buffer.from("nocolon").toString("base64") } } });
    await expect(find("x.example")).rejects.toMatchObject({ message: expect.stringContaining(configPath) });
  });

  test("files and their order", () => {
    expect(authFiles({ HOME: "/h", XDG_RUNTIME_DIR: "/run/user/1" })).toEqual([
      "/h/.docker/config.json",
      "/run/user/1/containers/auth.json",
      "/h/.config/containers/auth.json",
    ]);
    expect(
      authFiles({ HOME: "/h", DOCKER_CONFIG: "/d", REGISTRY_AUTH_FILE: "/r", XDG_CONFIG_HOME: "/c" }),
    ).toEqual([
      "/d/config.json",
      "/r",
      `/run/containers/${process.getuid?.()}/auth.json`,
      "/c/containers/auth.json",
    ]);
  });
});

describe("credential helpers", () => {
  let path: string | undefined;
  beforeEach(() => {
    path = process.env.PATH;
    mkdirSync(join(directory, "bin"));
    process.env.PATH = `${join(directory, "bin")}:${path}`;
  });
  afterEach(() => {
    process.env.PATH = path;
  });
  const helper = (name: string, script: string) => {
    const file = join(directory, "bin", `docker-credential-${name}`);
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    chmodSync(file, 0o755);
  };

  test("the one for the registry, else the common one; what it does not know, the file may", async () => {
    helper("one", `read -r server; printf '{"Username":"one","Secret":"%s"}' "$server"`);
    helper("all", 'echo "credentials not found in native keychain"; exit 1');
    configure({
      credHelpers: { "reg.example": "one", "docker.io": "one" },
      credsStore: "all",
      auths: { "file.example": { auth: Buffer.from("f:p").toString("base64") } },
    });
    const find = (name: string) => findCredential(name, "x", [configPath]);
    expect(await find("reg.example")).toEqual({ username: "one", password: "reg.example" });
    expect(await find("docker.io")).toEqual({ username: "one", password: "https://index.docker.io/v1/" });
    expect(await find("file.example")).toEqual({ username: "f", password: "p" });
    expect(await find("nothing.example")).toBeUndefined();
  });

  test("an identity token", async () => {
    helper("tok", `echo '{"Username":"<token>","Secret":"t"}'`);
    configure({ credsStore: "tok" });
    expect(await findCredential("x.example", "x", [configPath])).toEqual({ identityToken: "t" });
  });

  test("one that is missing, fails, lies or has a path for a name is an error that names it", async () => {
    helper("bad", "echo broken; exit 2");
    helper("lies", "echo '{}'");
    for (const [name, said] of [
      ["absent", "is not in $PATH"],
      ["bad", "failed with exit status 2: broken"],
      ["lies", "not a credential"],
      ["../../bin/sh", "is not a helper's name"],
    ] as const) {
      configure({ credsStore: name });
      await expect(findCredential("x.example", "x", [configPath])).rejects.toMatchObject({
        code: "CREDENTIAL_HELPER",
        message: expect.stringContaining(said),
      });
    }
  });

  test("one that hangs is killed", async () => {
    const { askHelper } = await import("../../../src/image/registry/helper.ts");
    helper("hangs", "exec sleep 30");
    const start = performance.now();
    await expect(askHelper("hangs", "x.example", "f", 200)).rejects.toMatchObject({
      message: expect.stringContaining("no answer within 0.2 s"),
    });
    expect(performance.now() - start).toBeLessThan(3000);
  });
});

test("challenges are read as RFC 9110 has them", () => {
  expect(
    parseChallenges(
      'Negotiate, Basic realm="a, b", Bearer realm="https://x/\\"t\\"" , service=plain,scope="s:1 s:2"',
    ),
  ).toEqual([
    { scheme: "negotiate", parameters: {} },
    { scheme: "basic", parameters: { realm: "a, b" } },
    { scheme: "bearer", parameters: { realm: 'https://x/"t"', service: "plain", scope: "s:1 s:2" } },
  ]);
  expect(parseChallenges("")).toEqual([]);
  expect(parseChallenges('=,="" \u0000 Bearer realm="unfinished')).toBeArray();
});
