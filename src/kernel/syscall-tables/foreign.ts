/**
 * The tables of architectures that ctr-bun does not run on: to name the calls of a filter or a profile made for them.
 * What lives here: the list, in a file of its own so that no start loads it. Not here: reading (tables.ts).
 */
import { loongarch64 } from "./loongarch64.ts";
import { m68k } from "./m68k.ts";
import { mips } from "./mips.ts";
import { mips64 } from "./mips64.ts";
import { mips64n32 } from "./mips64n32.ts";
import { parisc } from "./parisc.ts";
import { parisc64 } from "./parisc64.ts";
import { ppc } from "./ppc.ts";
import { ppc64 } from "./ppc64.ts";
import { riscv64 } from "./riscv64.ts";
import { s390 } from "./s390.ts";
import { s390x } from "./s390x.ts";
import { sh } from "./sh.ts";

/** Byte order makes no difference to numbers: `mips` is MIPSEL's too, `ppc64` that of PPC64LE. */
export const foreign = {
  loongarch64,
  m68k,
  mips,
  mips64,
  mips64n32,
  parisc,
  parisc64,
  ppc,
  ppc64,
  riscv64,
  s390,
  s390x,
  sh,
};

/** An architecture that ctr-bun does not run on. */
export type ForeignTable = keyof typeof foreign;
