/**
 * Images in the store, as the engine and the command line ask for them. Not here: how each is done (find.ts,
 * remove.ts), getting images (pull.ts), freeing what nothing uses (garbage.ts).
 */
export {
  type FoundImage,
  findImage,
  type Image,
  imageConfig,
  listImages,
  resolveImage,
  tagImage,
} from "./find.ts";
export { type ImageUsage, type RemovedImage, removeImage } from "./remove.ts";
