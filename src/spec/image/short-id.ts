/** IDs of containers and images as Docker shows them. */

/** The first 12 digits, without the algorithm of an image's ID. */
export function shortID(id: string): string {
  return id.replace(/^sha256:/, "").slice(0, 12);
}
