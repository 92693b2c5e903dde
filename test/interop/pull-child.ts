// A process that pulls one image into a store and says what came of it: for tests that kill it. Its arguments are the
// directory of a place (see unit/image/tools.ts) and the name of the image.

import { pullImage } from "../../src/image/pull.ts";
import { parseReference } from "../../src/image/reference.ts";
import { makePlace } from "../unit/image/tools.ts";

const [directory = "", name = ""] = process.argv.slice(2);
const { store, snapshotter } = makePlace(directory);
const { id, chainID, wasPresent } = await pullImage({
  reference: parseReference(name),
  store,
  snapshotter,
  authFiles: [],
});
store.close();
console.log(JSON.stringify({ id, chainID, wasPresent }));
