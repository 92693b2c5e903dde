// What `podman run` does with a container in the foreground, with runc and with ctr-bun: scenarios of podman.test.ts.

import { LOOK } from "../support/container-look.ts";
import { compared, TYPED_SCRIPT, typeOnTerminal } from "../support/two-runtimes.ts";
import type { Podman } from "./podman-setup.ts";

const RUN = ["run", "--rm", "--network", "none"];
const START = ["run", "--detach", "--network", "none"];
const sh = (script: string, ...flags: string[]) => [...RUN, ...flags, "box", "sh", "-c", script];

/** Registers the scenarios as tests. */
export function runScenarios(engine: () => Podman): void {
  compared("passes input, output and exit codes on", engine, async (way) => {
    await way.fails(7, sh("echo out; echo err >&2; exit 7"), { shows: /out\nerr/ });
    await way.ok([...RUN, "--interactive", "box", "cat"], { input: "typed", shows: /typed/ });
    await way.fails(143, sh("kill -TERM $$", "--init"));
  });

  compared("a program that is not there, or is none", engine, async (way) => {
    await way.fails(127, [...RUN, "box", "nowhere"], { shows: /executable file not found in \$PATH/ });
    await way.fails(127, [...RUN, "box", "/nowhere"], { shows: /no such file or directory/ });
    await way.fails(126, [...RUN, "box", "/etc/passwd"], { shows: /permission denied/ });
    await way.fails(126, [...RUN, "box", "/etc"], { shows: /permission denied/ });
    await way.fails(126, [...RUN, "--workdir", "/none", "box", "pwd"]);
    await way.fails(125, [...RUN, "--nosuch", "box", "true"]);
  });

  compared("a container sees the same of itself", engine, async (way) => {
    await way.ok(sh(LOOK), { shows: /== kernel/ });
    await way.ok(sh(LOOK, "--privileged"), { shows: /CapEff:\t000001ff/ });
    await way.ok(sh(LOOK, "--read-only", "--cap-drop", "all", "--user", "1000:100"), {
      shows: /CapEff:\t0000000000000000/,
    });
    await way.ok(sh(LOOK, "--systemd", "always", "--hostname", "abc"), { shows: /HOSTNAME=abc/ });
    await way.ok(sh(LOOK, "--pid", "host", "--ipc", "host", "--uts", "host", "--cgroupns", "host"), {
      shows: /== kernel/,
    });
  });

  compared("users, groups, directories", engine, async (way) => {
    const who = "id; pwd; echo $HOME; umask; touch /tmp/x; stat -c %a:%u:%g /tmp/x";
    await way.ok(sh(who, "--user", "demo"), { shows: /uid=1000\(demo\)/ });
    await way.ok(sh(who, "--user", "12345", "--group-add", "77", "--umask", "0077"), { shows: /77/ });
    await way.ok(sh(who, "--workdir", "/home/demo", "--env", "A=b c", "--env", "HOME=/x"), { shows: /\/x/ });
    await way.fails(126, [...RUN, "--user", "nosuch", "box", "id"]);
  });

  compared("volumes, tmpfs, a read-only root", engine, async (way) => {
    const script =
      "head -1 /conf; touch /scratch/x /tmp/x /etc/x; touch /x /conf; ls -A /data /scratch; grep -E ' (/conf|/data|/scratch) ' /proc/self/mountinfo | cut -d' ' -f5-6 | sort";
    const mounts = [
      "--volume",
      `${engine().folder}/containers.conf:/conf:ro`,
      "--tmpfs",
      "/scratch:size=1m,noexec",
    ];
    await way.ok(sh(script, "--read-only", ...mounts, "--volume", `${way.name("vol")}:/data`), {
      shows: /Read-only/,
    });
    await way.ok(sh("ls /etc | head -3; touch /etc/x; ls /etc/x", "--tmpfs", "/etc", "--read-only"));
    await way.ok(["volume", "rm", way.name("vol")]);
    await way.ok(sh("df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2", "--shm-size", "1m"), {
      shows: /1024/,
    });
    await way.fails(126, sh("true", "--volume", "/etc/passwd:/tmp"), { shows: /not a directory/ });
  });

  compared("limits", engine, async (way) => {
    const eat = ["box", "dd", "if=/dev/zero", "of=/dev/null", "bs=48M", "count=1"];
    await way.fails(137, [...RUN, "--memory", "16m", ...eat]);
    await way.fails(2, sh("for i in 1 2 3 4; do sleep 0.1 & done; wait", "--pids-limit", "3"), {
      shows: /can't fork/,
    });
    const files =
      "memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.shares cpuset/cpuset.cpus pids/pids.max";
    await way.ok(
      sh(
        `cd /sys/fs/cgroup; cat ${files}; ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj`,
        ...[
          "--memory",
          "32m",
          "--cpus",
          "0.5",
          "--cpu-shares",
          "500",
          "--cpuset-cpus",
          "0",
          "--pids-limit",
          "33",
        ],
        ...["--ulimit", "nofile=100:200", "--ulimit", "nproc=99:99", "--oom-score-adj", "100"],
      ),
      { shows: /33554432\n50000\n500\n0\n33\n100\n200/ },
    );
    await way.fails(126, sh("true", "--ulimit", "nofile=20:100000000", "--ulimit", "nproc=9:9"));
  });

  compared("devices, capabilities, security options", engine, async (way) => {
    const mask = { date: /\w{3} +\d+ \d\d:\d\d/g };
    await way.fails(1, sh("ls -l /dev/fuse; cat /dev/fuse", "--device", "/dev/fuse"), {
      mask,
      shows: /10, 229/,
    });
    await way.fails(1, sh("mknod /d c 10 229; cat /d"), { shows: /not permitted/ });
    const status = "grep -E 'Cap|NoNew|Seccomp:' /proc/self/status";
    await way.ok(sh(status, "--cap-add", "NET_ADMIN,SYS_TIME"), { shows: /CapEff/ });
    await way.ok(sh(status, "--cap-drop", "all", "--cap-add", "CHOWN", "--user", "1000"), {
      shows: /CapEff/,
    });
    await way.ok(sh(status, "--security-opt", "no-new-privileges"), { shows: /NoNewPrivs:\t1/ });
    await way.ok(sh(status, "--security-opt", "seccomp=unconfined"), { shows: /Seccomp:\t0/ });
    const masks = "head -1 /proc/meminfo; ls /proc/acpi; touch /proc/sys/kernel/domainname && echo writable";
    await way.ok(sh(masks, "--security-opt", "mask=/proc/meminfo", "--security-opt", "unmask=ALL"));
    const sysctls = ["--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "kernel.msgmax=4096"];
    await way.ok(sh("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax", ...sysctls), {
      shows: /1\n4096/,
    });
  });

  compared("--init, and a namespace of users", engine, async (way) => {
    // Its own number is the difference between a runtime that has used some and one that has not.
    await way.ok(sh("cat /proc/1/comm; tr '\\0' ' ' < /proc/1/cmdline", "--init"), { shows: /podman-init/ });
    const who =
      "id -u; cat /proc/self/uid_map /proc/self/gid_map; touch /x && stat -c %u /x; cat /proc/self/setgroups";
    await way.ok(sh(who, "--uidmap", "0:100000:65536"), { shows: /100000/ });
    const name = way.name("users");
    await way.ok([...START, "--name", name, "--uidmap", "0:200000:65536", "box", "sleep", "100"]);
    await way.ok(
      sh(`${who}; ls -ld /proc/1/root/etc`, "--userns", `container:${name}`, "--pid", `container:${name}`),
      {
        mask: { date: /\w{3} +\d+ \d\d:\d\d/g },
        shows: /200000/,
      },
    );
    await way.ok(["exec", name, "sh", "-c", who], { shows: /200000/ });
    await way.ok(["rm", "--force", "--time", "0", name]);
  });

  compared("a terminal", engine, async (way) => {
    await way.typed(5, [...RUN, "--interactive", "--tty", "box", "sh", "-c", TYPED_SCRIPT], typeOnTerminal);
    await way.fails(4, sh("tty; exit 4", "--tty"), { shows: /\/dev\/pts\/0\r\n/ });
  });
}
