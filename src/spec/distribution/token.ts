/**
 * What a token server answers (Docker's registry token specification, which registries share; the OAuth 2
 * form calls the token `access_token`). Not here: the challenge that leads there (image).
 */
import * as v from "valibot";
import { lazy, object, optional, optionalText, rule } from "../builders.ts";
import { integer, PlainText } from "../scalars.ts";

/** `expires_in` in seconds, 60 where it is left out; `issued_at` is RFC 3339. */
export const TokenResponse = lazy(() =>
  v.pipe(
    object({
      token: optionalText(PlainText),
      access_token: optionalText(PlainText),
      expires_in: optional(integer(0, Number.MAX_SAFE_INTEGER)),
      issued_at: optionalText(PlainText),
      refresh_token: optionalText(PlainText),
      scope: optionalText(PlainText),
      token_type: optionalText(PlainText),
    }),
    rule(({ token, access_token }, complain) => {
      if (token === undefined && access_token === undefined) complain("must have token or access_token");
    }),
  ),
);
export type TokenResponse = v.InferOutput<typeof TokenResponse>;
