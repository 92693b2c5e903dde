/**
 * `ctr-bun images`: arguments in, one call, a table out.
 */

import { type Image, listImages } from "../image/images.ts";
import { familiarRepository, parseReference } from "../image/reference.ts";
import { print } from "../kernel/output.ts";
import { shortID } from "../spec/image/short-id.ts";
import { verb } from "./command.ts";
import { formatAll } from "./format.ts";
import { humanAge, humanSize } from "./human.ts";
import { table } from "./table.ts";

export default verb({
  name: "images",
  description: "List images",
  usage: "[OPTIONS] [REPOSITORY[:TAG]]",
  args: {
    quiet: { type: "boolean", alias: "q", description: "IDs only" },
    digests: { type: "boolean", description: "Show digests" },
    "no-trunc": { type: "boolean", description: "Show all of IDs" },
    format: {
      type: "string",
      valueHint: "FORMAT",
      description: "json, or a template: {{.Repository}} {{.ID}}",
    },
    repository: { type: "positional", required: false, description: "Only images of that name" },
  },
  async run({ quiet, digests, "no-trunc": whole, format, repository }, context) {
    const engine = await context.engine();
    const now = Date.now();
    const rows = listImages(engine.store())
      .flatMap((image) => rowsOf(image, whole, now))
      .filter((each) => repository === undefined || matches(each, repository));
    if (quiet) print([...new Set(rows.map(({ ID }) => `${ID}\n`))].join(""));
    else if (format !== undefined) print(formatAll(rows, format, "images"));
    else print(asTable(rows, digests));
    return 0;
  },
});

interface Row {
  readonly Repository: string;
  readonly Tag: string;
  readonly Digest: string;
  readonly ID: string;
  readonly CreatedAt: string;
  readonly CreatedSince: string;
  readonly Size: string;
}

/** One for each name, as in Docker; one without a name for an image that has none. */
function rowsOf(image: Image, whole: boolean, now: number): Row[] {
  const common = {
    ID: whole ? image.id : shortID(image.id),
    CreatedAt: image.created ?? "N/A",
    CreatedSince: humanAge(image.created, now),
    Size: humanSize(image.size ?? image.contentSize),
  };
  const digestOf = (repository: string): string =>
    image.repoDigests.map(parseReference).find((reference) => familiarRepository(reference) === repository)
      ?.digest ?? "<none>";
  if (image.names.length === 0) {
    const [first] = image.repoDigests.map(parseReference);
    const repository = first === undefined ? "<none>" : familiarRepository(first);
    return [{ Repository: repository, Tag: "<none>", Digest: first?.digest ?? "<none>", ...common }];
  }
  return image.names.map((name) => {
    const reference = parseReference(name);
    const repository = familiarRepository(reference);
    return {
      Repository: repository,
      Tag: reference.digest === undefined ? (reference.tag ?? "<none>") : "<none>",
      Digest: reference.digest ?? digestOf(repository),
      ...common,
    };
  });
}

function matches(row: Row, text: string): boolean {
  const wanted = parseReference(text);
  if (familiarRepository(wanted) !== row.Repository) return false;
  const hasTag = text.slice(text.lastIndexOf("/") + 1).includes(":");
  return !hasTag || wanted.tag === row.Tag;
}

function asTable(rows: readonly Row[], digests: boolean): string {
  const digest = (value: string): string[] => (digests ? [value] : []);
  return table(
    ["REPOSITORY", "TAG", ...digest("DIGEST"), "IMAGE ID", "CREATED", "SIZE"],
    rows.map((each) => [
      each.Repository,
      each.Tag,
      ...digest(each.Digest),
      each.ID,
      each.CreatedSince,
      each.Size,
    ]),
  );
}
