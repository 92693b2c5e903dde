// Where credentials are found: Docker's and Podman's files, and helpers.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { authFiles, findCredential } from "../../../src/image/registry/credentials.ts";
import { askHelper } from "../../../src/image/registry/helper.ts";

let directory: string;
let configPath: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "auth-"));
  configPath = join(directory, "config.json");
});
afterEach(() => rmSync(directory, { recursive: true }));
const configure = (config: object) => writeFileSync(configPath, JSON.stringify(config));

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
    helper("hangs", "exec sleep 30");
    const start = performance.now();
    await expect(askHelper("hangs", "x.example", "f", 200)).rejects.toMatchObject({
      message: expect.stringContaining("no answer within 0.2 s"),
    });
    expect(performance.now() - start).toBeLessThan(3000);
  });
});
