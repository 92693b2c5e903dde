/**
 * Media types of the documents and layers of images, OCI's and Docker's (image-spec media-types.md,
 * "Compatibility Matrix"). Not here: which layer type is unpacked how (image).
 */

export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
export const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
export const OCI_DESCRIPTOR = "application/vnd.oci.descriptor.v1+json";
export const OCI_LAYOUT_HEADER = "application/vnd.oci.layout.header.v1+json";

export const OCI_LAYER_TAR = "application/vnd.oci.image.layer.v1.tar";
export const OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip";
export const OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd";
/** Deprecated, and still to be accepted: layers that must not be pushed. */
export const OCI_FOREIGN_LAYER_TAR = "application/vnd.oci.image.layer.nondistributable.v1.tar";
export const OCI_FOREIGN_LAYER_GZIP = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
export const OCI_FOREIGN_LAYER_ZSTD = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd";

export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
export const DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";
export const DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json";
export const DOCKER_LAYER_TAR = "application/vnd.docker.image.rootfs.diff.tar";
export const DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip";
export const DOCKER_FOREIGN_LAYER_GZIP = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/** What an image manifest may call itself. */
export const MANIFEST_TYPES = [OCI_MANIFEST, DOCKER_MANIFEST] as const;
/** What an image index may call itself. */
export const INDEX_TYPES = [OCI_INDEX, DOCKER_MANIFEST_LIST] as const;
