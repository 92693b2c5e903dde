// Rule R6: which token servers a registry may send us to.

import { describe, expect, test } from "bun:test";
import { parseChallenges } from "../../../src/image/registry/challenge.ts";
import { checkRealm } from "../../../src/image/registry/realm.ts";

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
