/**
 * A container in the shape of Docker's `inspect`, as far as tools read it. Times RFC 3339, sizes bytes.
 * Not here: images (image/inspect.ts).
 */
import { containerDirectory } from "./containers.ts";
import type { Engine } from "./engine.ts";
import type { ContainerRecord, HostLimits } from "./record.ts";
import { containerStatus } from "./status.ts";

/** Go's zero time. */
const NEVER = "0001-01-01T00:00:00Z";

/** One element of what `docker inspect CONTAINER` prints. */
export function inspectContainer(engine: Engine, record: ContainerRecord) {
  const { status, pid, exitCode } = containerStatus(engine, record);
  const { config, host, state } = record;
  const directory = containerDirectory(engine.settings.store, record.id);
  const [path = "", ...args] = [...(config.entrypoint ?? []), ...config.cmd];
  return {
    Id: record.id,
    Created: record.created,
    Path: path,
    Args: args,
    State: {
      Status: status,
      Running: status === "running",
      Paused: false,
      Restarting: false,
      OOMKilled: state.oomKilled,
      Dead: false,
      Pid: pid,
      ExitCode: exitCode,
      Error: state.error,
      StartedAt: state.startedAt ?? NEVER,
      FinishedAt: state.finishedAt ?? NEVER,
    },
    Image: record.image.id,
    ResolvConfPath: `${directory}/resolv.conf`,
    HostnamePath: `${directory}/hostname`,
    HostsPath: `${directory}/hosts`,
    LogPath: "",
    Name: `/${record.name}`,
    RestartCount: 0,
    Driver: record.snapshotter,
    Platform: "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: "",
    ExecIDs: null,
    HostConfig: hostConfig(record),
    Mounts: record.mounts
      .filter(({ type }) => type !== "tmpfs")
      .map(({ type, source, destination, readonly, propagation }) => ({
        Type: type,
        Source: source,
        Destination: destination,
        Mode: readonly ? "ro" : "",
        RW: !readonly,
        Propagation: propagation,
      })),
    Config: {
      Hostname: config.hostname,
      Domainname: "",
      User: config.user,
      AttachStdin: config.interactive,
      AttachStdout: true,
      AttachStderr: true,
      Tty: config.tty,
      OpenStdin: config.interactive,
      StdinOnce: config.interactive,
      Env: config.env,
      Cmd: config.cmd,
      Image: record.image.reference,
      Volumes: null,
      WorkingDir: config.workingDir,
      Entrypoint: config.entrypoint ?? null,
      OnBuild: null,
      Labels: config.labels,
      ...(config.stopSignal === undefined ? {} : { StopSignal: config.stopSignal }),
    },
    NetworkSettings: {
      Ports: {},
      IPAddress: "",
      Networks: { [host.network]: { NetworkID: "", IPAddress: "", Gateway: "", MacAddress: "" } },
    },
  };
}

/** Names and zeros of Docker's. */
function limits(host: HostLimits) {
  const rates = (list: HostLimits["blkioDeviceReadBps"]) =>
    (list ?? []).map(({ path, rate }) => ({ Path: path, Rate: rate }));
  return {
    CpuShares: host.cpuShares ?? 0,
    Memory: host.memory ?? 0,
    NanoCpus: host.nanoCpus ?? 0,
    BlkioWeight: host.blkioWeight ?? 0,
    BlkioWeightDevice: (host.blkioWeightDevice ?? []).map(({ path, weight }) => ({
      Path: path,
      Weight: weight,
    })),
    BlkioDeviceReadBps: rates(host.blkioDeviceReadBps),
    BlkioDeviceWriteBps: rates(host.blkioDeviceWriteBps),
    BlkioDeviceReadIOps: rates(host.blkioDeviceReadIOps),
    BlkioDeviceWriteIOps: rates(host.blkioDeviceWriteIOps),
    CpuPeriod: host.cpuPeriod ?? 0,
    CpuQuota: host.cpuQuota ?? 0,
    CpuRealtimePeriod: host.cpuRealtimePeriod ?? 0,
    CpuRealtimeRuntime: host.cpuRealtimeRuntime ?? 0,
    CpusetCpus: host.cpusetCpus ?? "",
    CpusetMems: host.cpusetMems ?? "",
    MemoryReservation: host.memoryReservation ?? 0,
    MemorySwap: host.memorySwap ?? 0,
    MemorySwappiness: host.memorySwappiness ?? null,
    OomKillDisable: host.oomKillDisable ?? false,
    PidsLimit: host.pidsLimit ?? 0,
  };
}

function hostConfig({ host }: ContainerRecord) {
  return {
    Binds: host.binds,
    NetworkMode: host.network,
    PortBindings: {},
    RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
    AutoRemove: host.autoRemove,
    CapAdd: host.capAdd,
    CapDrop: host.capDrop,
    Dns: host.dns,
    ExtraHosts: host.extraHosts,
    Privileged: host.privileged,
    ReadonlyRootfs: host.readonlyRoot,
    SecurityOpt: host.securityOpt,
    Tmpfs: Object.fromEntries(
      host.tmpfs.map((each) => [
        each.replace(/:.*/, ""),
        each.includes(":") ? each.replace(/^[^:]*:/, "") : "",
      ]),
    ),
    Init: host.init,
    OomScoreAdj: host.oomScoreAdj ?? 0,
    Cgroup: "",
    CgroupManager: host.cgroupManager ?? "cgroupfs",
    CgroupParent: host.cgroupParent ?? "",
    CgroupnsMode: host.cgroupnsMode ?? "private",
    CgroupConf: host.cgroupConf ?? {},
    DeviceCgroupRules: host.deviceCgroupRules ?? [],
    ...limits(host),
  };
}
