// A shell script that prints what a container sees of itself, but for what differs from one run to the next, and for
// what may differ between runc and ctr-bun: interop/runc.test.ts looks closer, and says why.

/** Mounts as root, place, options, type. What covers masked directories has stricter options with ctr-bun. */
const MOUNTS = [
  "s/ (shared|master|propagate_from):[0-9]+//g",
  "s/ - ([^ ]+) .*/ - \\1/",
  "s#^(/ /(proc|sys)/[^ ]+) .* - tmpfs$#\\1 - tmpfs#",
].join("; ");

export const LOOK = `
echo "== status"; grep -E '^(Umask|Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:|Sig(Blk|Ign|Cgt)|Cpus_allowed_list)' /proc/self/status
echo "== mounts"; cut -d' ' -f4- /proc/self/mountinfo | sed -E '${MOUNTS}' | sort -k2
echo "== devices"; stat -c '%n %F %a %u:%g %t:%T' /dev /dev/* | grep -v /dev/loop; for l in fd stdin stdout stderr ptmx core; do readlink /dev/$l; done
echo "== limits"; cat /proc/self/limits
echo "== cgroup"; cut -d: -f2- /proc/self/cgroup | sort
echo "== identity"; id; pwd; umask; env | grep -v ^container_uuid | sort
echo "== session"; set -- $(cat /proc/$$/stat); [ $5 = $6 ] && [ $6 = $1 ] && echo leads its session
echo "== masks"; for f in /proc/acpi /proc/kcore /proc/keys /proc/timer_list /proc/scsi /sys/firmware; do stat -c '%n %F' $f; done
echo "== kernel"; for f in oom_score_adj uid_map gid_map setgroups; do echo $f $(cat /proc/self/$f); done
`;

/** Names of namespaces that the shell is in, to be compared between containers: what each link says. */
export const NAMESPACES = "for n in ipc mnt net pid user uts cgroup; do readlink /proc/self/ns/$n; done";
