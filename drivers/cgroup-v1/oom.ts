/**
 * Out-of-memory events on v1. Source: Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control".
 */
import type { OomWatch } from "../../src/driver.ts";
import { O_RDONLY } from "../../src/kernel/constants.ts";
import { close, open, statusOf, withFd, writeFile } from "../../src/kernel/file.ts";
import { makeEventfd, takeCount } from "../../src/kernel/notify.ts";

/** The kernel adds to an eventfd at every such event, and once when the cgroup is removed. */
export function watchOom(directory: string): OomWatch {
  const control = `${directory}/cgroup.event_control`;
  const fd = makeEventfd();
  try {
    // The kernel takes hold of the file itself: it may be closed then.
    withFd(open(`${directory}/memory.oom_control`, O_RDONLY), (file) => writeFile(control, `${fd} ${file}`));
  } catch (error) {
    close(fd);
    throw error;
  }
  return {
    fd,
    take() {
      const count = takeCount(fd);
      return statusOf(control) === undefined ? undefined : count;
    },
    close: () => close(fd),
  };
}
