// What registries and token servers answer.

import { describe, expect, test } from "bun:test";
import { errorLine } from "../../../src/error.ts";
import { RegistryErrors } from "../../../src/spec/distribution/errors.ts";
import { Referrers } from "../../../src/spec/distribution/referrers.ts";
import { TagList } from "../../../src/spec/distribution/tags.ts";
import { TokenResponse } from "../../../src/spec/distribution/token.ts";
import { parseDocument, parseJson } from "../../../src/spec/parse.ts";
import { fixture, refusal } from "./support.ts";

describe("a registry's answer", () => {
  test("with errors keeps code, message and a detail of any shape", () => {
    const errors = [
      { code: "MANIFEST_UNKNOWN", message: "no", detail: { Tag: ["x", 1] } },
      { code: "VENDOR_CODE" },
    ];
    expect(parseDocument(RegistryErrors, { errors }, "answer")).toEqual({ errors });
  });

  test("with errors that have no code is refused", () => {
    const error = refusal(() =>
      parseDocument(RegistryErrors, { errors: [{ code: "A" }, { message: "x" }] }, "answer"),
    );
    expect(errorLine(error)).toBe("errors[1].code: is required");
  });

  test("with tags may have none, and says so with null", () => {
    expect(parseDocument(TagList, { name: "a/b", tags: ["1", "2"] }, "tags").tags).toEqual(["1", "2"]);
    expect(parseDocument(TagList, { name: "a/b", tags: null }, "tags").tags).toBeUndefined();
    expect(errorLine(refusal(() => parseDocument(TagList, { name: "a/b", tags: [1] }, "tags")))).toBe(
      "tags[0]: expected string, got number",
    );
  });

  test("with referrers is an image index", () => {
    expect(
      parseJson(Referrers, fixture("image/docker-manifest-list.json"), "referrers").manifests,
    ).toHaveLength(2);
    expect(refusal(() => parseJson(Referrers, fixture("image/oci-manifest.json"), "referrers")).field).toBe(
      "config",
    );
  });
});

describe("a token server's answer", () => {
  test.each([
    [{ token: "t", expires_in: 300, issued_at: "2024-01-31T12:00:00Z" }],
    [{ access_token: "t", refresh_token: "r" }],
    [{ token: "t", access_token: "t" }],
  ])("%p is good", (answer) => {
    expect(parseDocument(TokenResponse, answer, "token")).toEqual(answer);
  });

  test("without a token, or with an empty one, is refused", () => {
    for (const answer of [{}, { token: "" }, { token: null, access_token: "" }]) {
      expect(errorLine(refusal(() => parseDocument(TokenResponse, answer, "token")))).toBe(
        "token: must have token or access_token",
      );
    }
  });

  test("with a time to live that is no number of seconds is refused", () => {
    expect(refusal(() => parseDocument(TokenResponse, { token: "t", expires_in: -1 }, "token")).field).toBe(
      "expires_in",
    );
  });
});
