import { describe, expect, test } from "bun:test";
import { CtrError } from "../../../src/error.ts";
import { canonicalName, familiarName, parseReference } from "../../../src/image/reference.ts";

const digest = `sha256:${"a".repeat(64)}`;

function hintOf(text: string): string {
  try {
    parseReference(text);
  } catch (error) {
    if (error instanceof CtrError) return `${error.code} ${error.message} | ${error.hint ?? ""}`;
  }
  return "accepted";
}

describe("references are read as Docker reads them", () => {
  for (const [text, canonical, familiar] of [
    ["debian", "docker.io/library/debian:latest", "debian:latest"],
    ["debian:12", "docker.io/library/debian:12", "debian:12"],
    ["docker.io/debian", "docker.io/library/debian:latest", "debian:latest"],
    ["index.docker.io/library/debian:1", "docker.io/library/debian:1", "debian:1"],
    ["someone/app", "docker.io/someone/app:latest", "someone/app:latest"],
    ["localhost/app", "localhost/app:latest", "localhost/app:latest"],
    ["localhost:5000/app:v1", "localhost:5000/app:v1", "localhost:5000/app:v1"],
    ["127.0.0.1:5000/a/b__c/d-e.f:V1", "127.0.0.1:5000/a/b__c/d-e.f:V1", "127.0.0.1:5000/a/b__c/d-e.f:V1"],
    ["[::1]:5000/x:1", "[::1]:5000/x:1", "[::1]:5000/x:1"],
    ["ghcr.io/o/app", "ghcr.io/o/app:latest", "ghcr.io/o/app:latest"],
    [`debian@${digest}`, `docker.io/library/debian@${digest}`, `debian@${digest}`],
    [`debian:12@${digest}`, `docker.io/library/debian@${digest}`, `debian:12@${digest}`],
    ["Registry.example/x", "Registry.example/x:latest", "Registry.example/x:latest"],
    ["a/b/c", "docker.io/a/b/c:latest", "a/b/c:latest"],
  ] as const) {
    test(text, () => {
      const reference = parseReference(text);
      expect(canonicalName(reference)).toBe(canonical);
      expect(familiarName(reference)).toBe(familiar);
      expect(canonicalName(parseReference(canonical))).toBe(canonical);
    });
  }
});

describe("what is no reference is refused with the way out", () => {
  for (const [text, said] of [
    ["", "is empty"],
    ["Debian", 'did you mean "debian"?'],
    ["ghcr.io/Owner/App:v1", 'did you mean "ghcr.io/owner/app:v1"?'],
    ["https://ghcr.io/o/app", 'leave it out: "ghcr.io/o/app"'],
    ["debian:", 'bad tag ""'],
    ["debian:a b", "bad tag"],
    [`debian:${"x".repeat(129)}`, "bad tag"],
    ["debian@sha256:abc", "bad digest"],
    [`debian@sha256:${"A".repeat(64)}`, "bad digest"],
    ["debian@sha256:../../../../etc/passwd", "bad digest"],
    ["debian@md5:d41d8cd98f00b204e9800998ecf8427e", "bad digest"],
    ["../etc/passwd", "bad registry"],
    ["a//b", "bad repository"],
    ["localhost:99999/x", "bad registry"],
    ["-a/b", "bad repository"],
    ["ghcr.io/", "names no repository"],
    [`ghcr.io/${"x".repeat(260)}`, "is too long"],
    ["ex ample.com/x", "bad"],
    ["a.b@c/d", "bad digest"],
    ["user:pw@host.example/x", "bad"],
  ] as const) {
    test(JSON.stringify(text.slice(0, 60)), () => {
      const hint = hintOf(text);
      expect(hint).toStartWith("INVALID_REFERENCE");
      expect(hint).toContain(said);
    });
  }
});
