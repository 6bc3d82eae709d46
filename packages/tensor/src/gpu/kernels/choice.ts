/**
 * How products are cut: the table of choices, with what it was filled from.
 *
 * Measured on an NVIDIA H100 (80 GB HBM3, driver 580.159) through Dawn on Vulkan, in microseconds while
 * the device was kept busy; convolutions are 3×3 but where they say 1×1, products and gradients as named.
 *
 * | what                                  | 128×128 | 64×64 | 64×32, 2 | 32×32, 2 | 16×16, 4 |
 * | ------------------------------------- | ------- | ----- | -------- | -------- | -------- |
 * | product 4096³                         |    3719 |  4099 |          |          |          |
 * | product 2048³                         |     471 |   528 |          |          |          |
 * | product 1024³, A transposed           |         |    74 |          |       83 |          |
 * | product 512³                          |         |    29 |       17 |       17 |          |
 * | [32, 128, 32, 32] → 128               |     384 |   355 |          |          |          |
 * | [8, 64, 32, 32] → 64                  |         |    38 |       33 |       35 |          |
 * | its input gradient                    |         |    42 |       40 |          |          |
 * | its filter gradient in 64 parts       |         |    32 |       32 |          |          |
 * | its filter gradient in 16 parts       |         |    49 |       37 |       47 |          |
 * | its filter gradient in 4 parts        |         |   110 |       61 |          |       61 |
 * | [8, 512, 16, 16] → 512, 1×1           |         |    43 |          |          |          |
 * | [4, 512, 16, 16] → 24                 |         |   284 |          |      123 |       58 |
 * | [8, 64, 8, 8] → 12                    |         |    37 |          |       18 |       10 |
 * | [8, 6, 8, 8] → 64                     |         |    12 |          |        6 |        5 |
 *
 * Left out, and why:
 * - blocks of 16 × 8 numbers an invocation, which were 15 % faster in the largest convolutions, for the
 *   registers of other devices;
 * - sums over subgroups, which took as long as those through workgroup memory (10 µs each for
 *   [32, 128, 1024] per channel), and would add up in another order on devices of other widths;
 * - half precision: this device offers WebGPU none, and a factor rounded to 11 bits is 5e-4 off, five
 *   times what the conformance suite allows a product.
 */
import type { ConvGeometry } from '../../backend.ts';

/** How a product is cut: blocks of C for workgroups and invocations, and the depth of panels. */
export interface Tiling {
  /** Rows and columns of C that a workgroup makes. */
  readonly rows: number;
  readonly columns: number;
  /** Depth of the panels in workgroup memory. */
  readonly depth: number;
  /** Rows and columns of C that an invocation makes; columns by four. */
  readonly perRow: number;
  readonly perColumn: number;
  /** Groups of invocations that share the depth of one block. */
  readonly groups: number;
}

/** Workgroups of all devices have 16 KiB of memory and 256 invocations, and so do these. */
export const tilings: readonly (Tiling & {
  /** Blocks from which on it is taken. */
  readonly blocks: number;
})[] = [
  { rows: 128, columns: 128, depth: 8, perRow: 8, perColumn: 8, groups: 1, blocks: 256 },
  { rows: 64, columns: 64, depth: 16, perRow: 8, perColumn: 4, groups: 1, blocks: 192 },
  { rows: 64, columns: 32, depth: 16, perRow: 8, perColumn: 4, groups: 2, blocks: 128 },
  { rows: 32, columns: 32, depth: 16, perRow: 4, perColumn: 4, groups: 2, blocks: 128 },
  { rows: 16, columns: 16, depth: 16, perRow: 2, perColumn: 4, groups: 4, blocks: 0 },
];

/** The first that has blocks enough and does not compute half as much again beside C. */
export function tilingOf(m: number, n: number, slices: number): Tiling {
  const found = tilings.find(({ rows, columns, blocks }) => {
    const [down, across] = [Math.ceil(m / rows), Math.ceil(n / columns)];
    return down * across * slices >= blocks && down * rows * across * columns < 1.5 * m * n;
  });
  return found ?? tilings.at(-1)!;
}

/** Blocks that a filter gradient is cut into, and the depth of the least that is worth a sum of its own. */
const FILTER_BLOCKS = 1024;
const FILTER_DEPTH = 512;

/** Into how many parts of all samples' positions a filter gradient is cut. */
export function filterGradParts(g: ConvGeometry): number {
  const volume = (sizes: readonly number[]) => sizes.reduce((a, b) => a * b, 1);
  const blocks =
    Math.ceil(g.outputChannels / 64) * Math.ceil((g.inputChannels * volume(g.kernel)) / 32);
  const deep = Math.floor((g.batch * volume(g.output)) / FILTER_DEPTH);
  return Math.max(1, Math.min(Math.round(FILTER_BLOCKS / blocks), deep));
}
