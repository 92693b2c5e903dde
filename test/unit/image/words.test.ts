// What a person reads when a registry does not do as asked: registry, repository, thing, status, way out.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CtrError, errorLine } from "../../../src/error.ts";
import { openRepository } from "../../../src/image/registry/client.ts";
import type { RegistryOptions } from "../../../src/image/registry/options.ts";
import { type FakeRegistry, missing, startFakeRegistry } from "../../support/fake-registry.ts";

let registry: FakeRegistry;
let directory: string;
beforeAll(() => {
  registry = startFakeRegistry();
  directory = mkdtempSync(join(tmpdir(), "words-"));
});
afterAll(async () => {
  await registry.stop();
  rmSync(directory, { recursive: true });
});

async function said(host: string, options: RegistryOptions = {}): Promise<string> {
  const limits = { backoff: 1, tries: 2, answerTimeout: 1000 };
  const client = openRepository(host, "some/app", { authFiles: [], limits, ...options });
  const error = await client.manifest("1").catch((thrown) => thrown);
  if (!(error instanceof CtrError)) throw new Error(`no error: ${error}`);
  return `${errorLine(error)} | ${error.hint}`;
}

test("not there", async () => {
  expect(await said(registry.host)).toBe(
    `registry ${registry.host} has no tag "1" in repository some/app (404: MANIFEST_UNKNOWN: manifest unknown) | check the name and the tag; a private repository may need credentials`,
  );
});

test("not allowed", async () => {
  registry.intercept(() => missing("DENIED", "requested access is denied", 403));
  expect(await said(registry.host)).toContain(
    `registry ${registry.host} refuses access to repository some/app (403: DENIED: requested access is denied) | `,
  );
});

test("not more often", async () => {
  registry.intercept(() => missing("TOOMANYREQUESTS", "", 429));
  expect(await said(registry.host)).toContain("(429: TOOMANYREQUESTS) | wait, or log in");
});

test("broken", async () => {
  registry.intercept(() => new Response("<html>", { status: 502 }));
  expect(await said(registry.host)).toContain("(502) | the registry has a problem of its own");
});

test("a message that would draw on the terminal is made plain", async () => {
  registry.intercept(() => missing("DENIED", "\u001b[2J\u001b]0;x\u0007 first\nsecond\u202e", 403));
  const text = await said(registry.host);
  expect(text).toContain("DENIED: [2J ]0;x first second)");
});

test("down", async () => {
  expect(await said("127.0.0.1:1")).toBe(
    "registry 127.0.0.1:1 cannot be reached: connection refused (ECONNREFUSED) | check that the registry is running and that its name and port are right",
  );
});

test("no such name", async () => {
  expect(await said("no-such-registry.invalid")).toContain(
    "registry no-such-registry.invalid cannot be reached: no address is known for the name | check the spelling",
  );
});

test("TLS with a certificate that nobody here has signed, until its authority is given", async () => {
  const [key, cert] = [join(directory, "key.pem"), join(directory, "cert.pem")];
  const made = Bun.spawnSync(
    `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ${key} -out ${cert} -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost`.split(
      " ",
    ),
  );
  expect(made.exitCode).toBe(0);
  const requests: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: { key: Bun.file(key), cert: Bun.file(cert) },
    fetch(request) {
      requests.push(request.url);
      return missing("MANIFEST_UNKNOWN", "no");
    },
  });
  const host = `localhost:${server.port}`;
  expect(await said(host)).toContain(
    `registry ${host}: no trusted TLS connection (DEPTH_ZERO_SELF_SIGNED_CERT) | `,
  );
  expect(requests).toEqual([]);
  expect(await said(host, { ca: await Bun.file(cert).text() })).toContain("(404: MANIFEST_UNKNOWN: no)");
  expect(await said(`127.0.0.1:${server.port}`, { ca: await Bun.file(cert).text() })).toContain(
    "ERR_TLS_CERT_ALTNAME",
  );
  await server.stop(true);
});
