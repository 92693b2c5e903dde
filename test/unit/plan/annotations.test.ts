// crun's annotations: what they come to, and which are refused.
import { describe, expect, test } from "bun:test";
import { asCtrError, errorLine } from "../../../src/error.ts";
import { MEANINGFUL_ANNOTATIONS, readAnnotations } from "../../../src/plan/annotations.ts";

function refusal(annotations: Record<string, string>, hooks = {}): string {
  try {
    readAnnotations({ annotations, hooks });
  } catch (error) {
    return errorLine(asCtrError(error));
  }
  return "";
}

describe("annotations", () => {
  test("of others mean nothing, crun's own unknown ones neither (config.md: MUST NOT generate an error)", () => {
    const annotations = {
      "run.oci.something.new": "1",
      "run.oci.systemd.subgroup": "",
      "org.systemd.property.Foo": "1",
      "org.criu.config": "/x",
      key: "value",
      __proto__: "x",
    };
    expect(readAnnotations({ annotations })).toEqual({});
    expect(readAnnotations({})).toEqual({});
  });

  test("that are carried out", () => {
    const annotations = {
      "run.oci.keep_original_groups": "1",
      "run.oci.seccomp_fail_unknown_syscall": "1",
      "run.oci.pidfd_receiver": "/a",
      "run.oci.seccomp.receiver": "/d",
      "run.oci.seccomp.plugins": "/e",
      "run.oci.hooks.stdout": "/b",
      "run.oci.hooks.stderr": "/c",
    };
    expect(readAnnotations({ annotations })).toEqual({
      keepGroups: true,
      failUnknownSyscalls: true,
      pidfdReceiver: "/a",
      seccompReceiver: "/d",
      seccompPlugins: "/e",
      hooksStdout: "/b",
      hooksStderr: "/c",
    });
  });

  test("another context for mounts is refused where there is a label to give", () => {
    const annotations = { "run.oci.mount_context_type": "fscontext" };
    const linux = { mountLabel: "a:b:c:s0" };
    expect(readAnnotations({ annotations })).toEqual({});
    expect(readAnnotations({ annotations: { "run.oci.mount_context_type": "context" }, linux })).toEqual({});
    expect(() => readAnnotations({ annotations, linux })).toThrow("not supported: only context is");
  });

  test("that would change the container are refused", () => {
    for (const key of [
      "run.oci.handler",
      "run.oci.seccomp_bpf_data",
      "run.oci.timens_offset",
      "run.oci.systemd.force_cgroup_v1",
    ]) {
      expect(refusal({ [key]: "x" })).toBe(`annotations["${key}"]: not supported`);
      expect(refusal({ [key]: "" })).toBe("");
      expect(MEANINGFUL_ANNOTATIONS).toContain(key);
    }
  });
});
