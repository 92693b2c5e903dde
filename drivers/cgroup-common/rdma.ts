/**
 * The rdma controller, whose files are the same on both versions: `linux.resources.rdma`.
 * Source: Documentation/admin-guide/cgroup-v1/rdma.rst.
 */
import type { Controller, Setting } from "./setting.ts";

export const rdma: Controller = {
  name: "rdma",
  settings({ rdma }) {
    const settings: Setting[] = [];
    for (const [device, { hcaHandles, hcaObjects }] of Object.entries(rdma ?? {})) {
      let data = device;
      if (hcaHandles !== undefined) data += ` hca_handle=${hcaHandles}`;
      if (hcaObjects !== undefined) data += ` hca_object=${hcaObjects}`;
      settings.push({
        field: `rdma.${device}`,
        file: "rdma.max",
        data,
        hints: { ENODEV: `there is no RDMA device ${device}` },
      });
    }
    return settings;
  },
};
