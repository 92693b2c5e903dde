/** The version of the runtime specification that ctr-bun follows. Alone, as it is asked for where no schema is. */
export const OCI_VERSION = "1.3.0";
