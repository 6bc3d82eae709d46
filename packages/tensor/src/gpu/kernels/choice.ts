/**
 * How products are cut: the table of choices, with what it was filled from.
 *
 * Measured on an NVIDIA H100 (80 GB HBM3, driver 580.159.04) through Dawn on Vulkan: microseconds of a
 * kernel among others of its kind; what the table takes is marked. The device's clock moves from row to
 * row, so times compare within rows. Convolutions are 3×3 but where they say 1×1; columns are rows and
 * columns of C that a workgroup makes, and into how many groups its invocations are parted.
 *
 * | what                             | 128×128 | 64×64 | 64×32, 2 | 32×32, 2 | 16×16, 4 |
 * | -------------------------------- | ------- | ----- | -------- | -------- | -------- |
 * | product 4096³                    |   3760* |  4105 |     5002 |     5230 |          |
 * | product 2048³                    |    472* |   541 |      689 |      663 |     1181 |
 * | product 1024³                    |     119 |   81* |      116 |       97 |      160 |
 * | product 1024³, A transposed      |     147 |   74* |      115 |       84 |      149 |
 * | product 1024³, B transposed      |     162 |   91* |      135 |      121 |      183 |
 * | product 512³                     |      63 |    28 |      18* |       17 |       26 |
 * | product 256³                     |      33 |    16 |       10 |      8.1 |     7.7* |
 * | [32, 128, 32, 32] → 128          |    382* |   356 |      408 |      477 |      728 |
 * | its input gradient               |    412* |   439 |      546 |      581 |      939 |
 * | its filter gradient in 14 parts  |     622 |  729* |      718 |      888 |     1292 |
 * | [8, 64, 32, 32] → 64             |     127 |    56 |      44* |       48 |       78 |
 * | its input gradient               |     137 |    57 |      56* |       60 |       94 |
 * | its filter gradient in 4 parts   |     412 |   150 |       81 |       92 |       79 |
 * | its filter gradient in 16 parts  |     102 |    60 |      49* |       60 |       75 |
 * | its filter gradient in 64 parts  |      81 |    40 |       42 |       54 |       88 |
 * | [8, 512, 16, 16] → 512, 1×1      |     101 |   56* |       73 |       79 |      139 |
 * | [16, 64, 14, 14] → 64, 1×1       |      15 |   8.2 |      7.1 |     6.7* |      9.0 |
 * | [4, 512, 16, 16] → 24            |    1270 |   515 |      158 |      123 |      59* |
 * | [16, 64, 16, 16] → 24            |      93 |    40 |       24 |      19* |       17 |
 * | [8, 64, 8, 8] → 12               |      91 |    40 |       23 |       19 |      11* |
 * | its input gradient               |      66 |    41 |       37 |       25 |      18* |
 * | [8, 6, 8, 8] → 64                |      38 |    27 |       24 |       18 |      15* |
 * | its filter gradient              |     306 |   147 |       79 |       59 |      35* |
 *
 * The filter gradients in 4 and in 64 parts are there for the number of parts; 64 leave four times as much
 * to add up as the 16 that are taken.
 *
 * Left out, and why:
 * - blocks of 16 × 8 numbers an invocation, 10 to 20 % faster in the largest convolutions (313 µs where
 *   8 × 8 took 384) and slower in products, for the registers of other devices;
 * - sums over subgroups, which took as long as those through workgroup memory (10 µs each for
 *   [32, 128, 1024] per channel), and would add up in another order on devices of other widths;
 * - half precision: WebGPU offers none on this device (no `shader-f16`), and a factor rounded to 11 bits
 *   is 5e-4 off, five times what the conformance suite allows a product.
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
