/**
 * Docker's credential helpers: `docker-credential-NAME get`, the server on its standard input, JSON on its output.
 * Not here: which helper is for which registry (credentials.ts).
 */
import { fail } from "../../error.ts";
import { object } from "../../spec/builders.ts";
import { parseJson } from "../../spec/parse.ts";
import { PlainText } from "../../spec/scalars.ts";
import { plain } from "./errors.ts";
import type { Credential } from "./options.ts";

const HELPER_TIMEOUT = 30_000;
const MAX_OUTPUT = 1 << 20;
/** What helpers print, with exit status 1, for a server that they know nothing of. */
const NOT_FOUND = /credentials not found|no credentials server URL/;
/** The user name under which helpers keep identity tokens. */
const TOKEN_USER = "<token>";

/**
 * Asks a helper.
 * @param file the file that names it, for the message.
 * @throws CtrError CREDENTIAL_HELPER where it is missing, fails, or takes too long. Its output is never shown.
 */
export async function askHelper(
  name: string,
  server: string,
  file: string,
  timeout: number = HELPER_TIMEOUT,
): Promise<Credential | undefined> {
  const program = `docker-credential-${name}`;
  const failed = (why: string, cause?: unknown) =>
    fail({
      code: "CREDENTIAL_HELPER",
      message: `${program}, which ${file} names for ${server}, ${why}`,
      hint: "install or repair it, or take it out of that file",
      cause,
    });
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) throw failed("is not a helper's name");
  const path = Bun.which(program, { PATH: process.env.PATH ?? "" });
  if (path === null) throw failed("is not in $PATH");
  const child = Bun.spawn([path, "get"], {
    stdin: new TextEncoder().encode(server),
    stdout: "pipe",
    stderr: "ignore",
    timeout,
    killSignal: "SIGKILL",
    maxBuffer: MAX_OUTPUT,
  });
  // A grandchild may hold the pipe open for longer than the helper lives.
  const late = Promise.withResolvers<string>();
  const timer = setTimeout(() => late.resolve(""), timeout + 1000);
  const output = await Promise.race([new Response(child.stdout).text(), late.promise]);
  clearTimeout(timer);
  const status = await child.exited;
  if (child.signalCode !== null) throw failed(`gave no answer within ${timeout / 1000} s`);
  if (status !== 0 && NOT_FOUND.test(output)) return undefined;
  if (status !== 0) throw failed(`failed with exit status ${status}: ${plain(output)}`);
  let answer: { Username: string; Secret: string };
  try {
    answer = parseJson(object({ Username: PlainText, Secret: PlainText }), output, program);
  } catch {
    throw failed("gave an answer that is not a credential");
  }
  if (answer.Secret === "") return undefined;
  if (answer.Username === TOKEN_USER) return { identityToken: answer.Secret };
  return { username: answer.Username, password: answer.Secret };
}
