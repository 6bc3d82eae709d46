/**
 * The description of one product C = A·B as the TypeScript side writes it into linear memory:
 * 32-bit words in the order of these fields (src/wasm/product.ts writes them). All strides count
 * elements. It serves matrix products, convolutions and both of their gradients:
 *
 * - A(m, k), k = (channel, tap), lies at a + m·aRow + channel·aChannel + tap·aTap. Where aRowTaps is
 *   not 0, a row is a pair too, m = (row, tap), at a + row·aRow + tap·aRowTap + channel·aTap.
 * - B is seen as an image of `channels` channels read through taps: its virtual matrix has the rows
 *   (channel, tap) and the columns (sample, position). The source of position q under tap t is
 *   (q·multiplier + t − padding) / divisor along each axis, zero where outside or not divisible.
 *   With `transposed` set, the columns of this virtual matrix are summed over and its rows are
 *   the columns of C.
 * - C(m, j), j = (sample, position), lies at c + sample·cSample + m·cRow + position. Where
 *   mask is not 0, an array laid out as C lies there, and C is zero where that is not positive.
 *
 * One plan serves all parts of a job. What a thread has for itself is at offsets in its scratch, which
 * begins with its copy of the plan. A that is not read where it lies is packed ahead if it is not
 * too large: a small one by each thread for itself (`packs`), a larger one for all of them, at the address `packed`.
 *
 * Left out: behaviour; and dimensions above three, since 1D and 2D have leading sizes of 1.
 */
@unmanaged
export class Product {
  a: usize;
  aRow: i32;
  aChannel: i32;
  aTap: i32;
  aTaps: i32;
  aRowTaps: i32;
  aRowTap: i32;
  /** Is A read where it lies, instead of packed? Blocks of k do not cross its channels, and its rows are no pairs. */
  direct: i32;

  transposed: i32;
  /** Is B read where it lies, instead of packed? Its virtual matrix has one tap, and is not transposed. */
  inPlace: i32;
  /** Are the rows of its virtual matrix lines of the source as they lie? */
  lines: i32;
  /** Bytes from one packed column of B to the next, where they are lines along k (inner.ts); 0 where they are none. */
  pitch: i32;
  source: usize;
  channels: i32;
  columnsD: i32;
  columnsH: i32;
  columnsW: i32;
  sourceD: i32;
  sourceH: i32;
  sourceW: i32;
  tapsD: i32;
  tapsH: i32;
  tapsW: i32;
  multiplierD: i32;
  multiplierH: i32;
  multiplierW: i32;
  divisorD: i32;
  divisorH: i32;
  divisorW: i32;
  paddingD: i32;
  paddingH: i32;
  paddingW: i32;

  c: usize;
  cSample: i32;
  cRow: i32;
  cColumns: i32;
  /** Is there room in each row of C for whole tiles? */
  padded: i32;

  rows: i32;
  columns: i32;
  depth: i32;
  bias: usize;
  relu: i32;
  mask: usize;

  /** Tells this plan from any other. */
  serial: i32;
  packs: i32;
  packed: usize;
  packedA: usize;
  packedB: usize;
  line: usize;
  tile: usize;
  panelRows: i32;
  blockRows: i32;
  blockColumns: i32;
  blockDepth: i32;
}

/**
 * A convolution by shifted sums (shift.ts explains it): the parts of y, its grid and that of its source,
 * and how much of it is made at once. `partial` is an offset in a thread's scratch.
 */
@unmanaged
export class Shift {
  y: usize;
  bias: usize;
  relu: i32;
  mask: usize;
  rows: i32;
  /** Do Z's rows have the taps backwards? */
  backwards: i32;
  outputD: i32;
  outputH: i32;
  outputW: i32;
  sourceD: i32;
  sourceH: i32;
  sourceW: i32;
  tapsD: i32;
  tapsH: i32;
  tapsW: i32;
  divisorD: i32;
  divisorH: i32;
  divisorW: i32;
  paddingD: i32;
  paddingH: i32;
  paddingW: i32;
  partial: usize;
  chunkSamples: i32;
  chunkSlices: i32;
}

/**
 * A 3×3 convolution of stride 1 by Winograd's method (winograd.ts explains it). The weights lie as
 * in `Product`; `filters` is shared by all parts, the other four are offsets in a thread's scratch.
 */
@unmanaged
export class Winograd {
  a: usize;
  aRow: i32;
  aChannel: i32;
  aTap: i32;
  source: usize;
  channels: i32;
  sourceH: i32;
  sourceW: i32;
  paddingH: i32;
  paddingW: i32;
  y: usize;
  rows: i32;
  outputH: i32;
  outputW: i32;
  bias: usize;
  relu: i32;
  /** Where not 0, an array laid out as y, which is zero where that is not positive. */
  mask: usize;
  filters: usize;
  inputs: usize;
  outputs: usize;
  insides: usize;
  places: usize;
  panelRows: i32;
  blockGroups: i32;
  blockChannels: i32;
}

/**
 * A filter gradient by Winograd's method (gradients.ts), beside a `Winograd` of x and one of dy, whose `inputs`
 * are lines of transformed numbers.
 */
@unmanaged
export class WinogradGrad {
  /** Bytes from a channel's line to the next. */
  lineBytes: i32;
  /** Offset in a thread's scratch: two vectors of lines, or what is transformed back. */
  joined: usize;
  /** Transformed gradients of each part, `pitch` bytes apart. */
  sums: usize;
  pitch: i32;
  parts: i32;
  /** Rows of tiles of each part but the last, and of all. */
  partRows: i32;
  allRows: i32;
  dw: usize;
  dwRow: i32;
  dwChannel: i32;
  dwTap: i32;
}
