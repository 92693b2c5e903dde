// The image debian-demo: a real Debian system in four layers.

import { appendFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../run.ts";
import { install } from "./debootstrap.ts";
import { closeLayout, newImage } from "./layout.ts";

/** A user, a program of this image's own, and a file of the base taken away. */
function application(rootfs: string): void {
  appendFileSync(join(rootfs, "etc/passwd"), "demo:x:1000:1000:Demo:/srv/demo:/bin/bash\n");
  appendFileSync(join(rootfs, "etc/group"), "demo:x:1000:\n");
  mkdirSync(join(rootfs, "srv/demo"), { recursive: true });
  writeFileSync(join(rootfs, "srv/demo/greet"), '#!/bin/sh\nhello --greeting="$GREETING"\n', { mode: 0o755 });
  run(["chown", "-R", "1000:1000", join(rootfs, "srv/demo")]);
  rmSync(join(rootfs, "etc/issue"));
}

/** Makes the layout of debian-demo, tag 1, on top of the minimal system `base`; packages are kept in `cache`. */
export function debianDemo(layout: string, work: string, base: string, cache: string): void {
  const image = newImage(layout, work);
  run(["cp", "-aT", base, image.rootfs]);
  image.layer("debootstrap --variant=minbase");
  install(image.rootfs, cache, ["hello", "jq", "file"]);
  image.layer("dpkg -i hello jq file");
  application(image.rootfs);
  image.layer("add /srv/demo and the user demo, remove /etc/issue");
  const docs = join(work, "doc");
  mkdirSync(docs);
  writeFileSync(
    join(docs, "README"),
    "The documentation was replaced by this file, in a layer of its own.\n",
  );
  image.replace(docs, "/usr/share/doc", "replace /usr/share/doc");
  image.finish("1", [
    "--config.env=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "--config.env=GREETING=Hello from the second layer",
    "--config.user=demo",
    "--config.workingdir=/srv/demo",
    "--config.cmd=bash",
    "--config.label=org.opencontainers.image.title=debian-demo",
  ]);
  closeLayout(layout);
}
