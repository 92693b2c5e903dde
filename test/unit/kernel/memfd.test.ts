/** Files in memory: the init's program cannot be changed by anyone. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  F_ADD_SEALS,
  F_GET_SEALS,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  FD_CLOEXEC,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
} from "../../../src/kernel/constants.ts";
import { ERRNO } from "../../../src/kernel/errno.ts";
import { close, readAll, statusOf, tryOpen, withFd } from "../../../src/kernel/file.ts";
import { documentMemfd, executableMemfd } from "../../../src/kernel/memfd.ts";
import { sys } from "../../../src/kernel/raw.ts";

const F_GETFD = 1;
const BYTES = Buffer.from("the program's bytes");

describe("executableMemfd", () => {
  let fd = -1;
  beforeAll(() => {
    fd = executableMemfd("sealed", BYTES);
  });
  afterAll(() => close(fd));
  const content = () => {
    sys("lseek", fd, 0, 0);
    return Buffer.from(readAll(fd)).toString();
  };

  test("holds the bytes, can be executed, and is close-on-exec", () => {
    expect(content()).toBe(BYTES.toString());
    expect((statusOf("", fd)?.mode ?? 0) & 0o111).toBe(0o111);
    expect(sys("fcntl", fd, F_GETFD)).toBe(FD_CLOEXEC);
  });

  test("has every seal, and takes no other", () => {
    const all = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    expect(sys("fcntl", fd, F_GET_SEALS) & all).toBe(all);
    expect(sys("fcntl", fd, F_ADD_SEALS, 16)).toBe(-ERRNO.EPERM);
  });

  test("cannot be written, grown, shrunk, punched or mapped for writing, nor through /proc", () => {
    const x = Buffer.from("x");
    const MAP_SHARED = 1;
    const PUNCH_HOLE_KEEP_SIZE = 3;
    sys("lseek", fd, 0, 0);
    expect(sys("write", fd, x, 1)).toBe(-ERRNO.EPERM);
    expect(sys("ftruncate", fd, 0)).toBe(-ERRNO.EPERM);
    expect(sys("ftruncate", fd, 1000)).toBe(-ERRNO.EPERM);
    expect(sys("fallocate", fd, 0, 0, 9999)).toBe(-ERRNO.EPERM);
    expect(sys("fallocate", fd, PUNCH_HOLE_KEEP_SIZE, 0, 4096)).toBe(-ERRNO.EPERM);
    expect(sys("mmap", 0, 4096, 3, MAP_SHARED, fd, 0)).toBe(-ERRNO.EPERM);
    for (const flags of [O_WRONLY, O_RDWR]) {
      withFd(tryOpen(`/proc/self/fd/${fd}`, flags), (again) => {
        expect(again).toBeGreaterThan(0);
        expect(sys("write", again, x, 1)).toBe(-ERRNO.EPERM);
      });
    }
    expect(tryOpen(`/proc/self/fd/${fd}`, O_RDWR | O_TRUNC)).toBe(-ERRNO.EPERM);
    expect(content()).toBe(BYTES.toString());
  });
});

test("documentMemfd is read from its start", () => {
  withFd(documentMemfd("document", BYTES), (fd) => {
    expect(Buffer.from(readAll(fd)).toString()).toBe(BYTES.toString());
    expect(sys("fcntl", fd, F_GETFD)).toBe(FD_CLOEXEC);
  });
});
