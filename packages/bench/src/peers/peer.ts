/** What libraries are measured at, all on the same numbers. */

/** Sizes of the operations that are measured. */
export interface OperationSizes {
  /** Of the convolution; also the width of Glow's conditioners. */
  readonly channels: number;
  /** Of the matrices. */
  readonly side: number;
}

/** Names of the operations, which are one row group each in the tables. */
export function operationNames({ channels, side }: OperationSizes) {
  return {
    conv: `conv 3×3 [8, ${channels}, 32, 32]`,
    inputGrad: 'its input gradient',
    filterGrad: 'its filter gradient',
    pointwise: `conv 1×1 [8, ${channels}, 32, 32]`,
    product: `product ${side}³`,
    glow: `Glow step, hidden ${channels}`,
  };
}

/** Keys of the operations that a suite asks for. */
export type Wanted = readonly (keyof ReturnType<typeof operationNames>)[];

/** What `bench ops` asks for. */
export const wantedOps: Wanted = ['conv', 'inputGrad', 'filterGrad', 'pointwise', 'product'];

/** Sizes of the Glow whose training step is measured, and of its data. */
export function glowSizes(channels: number): GlowSizes {
  return { batch: 8, channels: 3, side: 16, hidden: channels, scales: 2, steps: 2 };
}

/** Those of one Glow, whose scale functions are σ + low. */
export interface GlowSizes {
  readonly batch: number;
  readonly channels: number;
  readonly side: number;
  readonly hidden: number;
  readonly scales: number;
  readonly steps: number;
}

/** Numbers on their way from one library to another, channels first. */
export interface Numbers {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** The inputs of all operations. */
export interface Problem {
  readonly sizes: OperationSizes;
  /** Convolved with `w`, and with `w1` of one position; `dy` is the gradient of the result. */
  readonly x: Numbers;
  readonly w: Numbers;
  readonly w1: Numbers;
  readonly dy: Numbers;
  /** Multiplied by `b`. */
  readonly a: Numbers;
  readonly b: Numbers;
  readonly glow: GlowSizes;
  readonly images: Numbers;
  /** Of the network, in the order of ours. */
  readonly parameters: readonly Numbers[];
}

/** The arrays that an operation makes. */
export type Results = readonly ArrayLike<number>[];

/** A measured operation of one library. */
export interface Operation {
  readonly name: string;
  /** Runs once, and ends when a number that depends on the result was read. */
  readonly run: () => Promise<void>;
  /** The same, in another process: gives the milliseconds by that one's clock. */
  readonly time?: () => Promise<number>;
  /**
   * The whole result, channels first; of a training step the loss and then each gradient. Left out
   * where a library computes something else that is as near to it as it can get.
   */
  readonly result?: () => Promise<Results>;
}

/** A library, with its backend. */
export interface Peer {
  readonly library: string;
  readonly backend: string;
  /** Those of the wanted operations that it has, prepared. @throws Error where the library cannot be had or run here. */
  load(problem: Problem, wanted: Wanted): Promise<Operation[]>;
}

/** The largest difference of two arrays of the same place, relative to its largest number. */
export function relativeDifference(ours: Results, theirs: Results): number {
  if (ours.length !== theirs.length) return Number.POSITIVE_INFINITY;
  return Math.max(...ours.map((part, i) => differenceOf(part, theirs[i]!)));
}

function differenceOf(ours: ArrayLike<number>, theirs: ArrayLike<number>): number {
  if (ours.length !== theirs.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  let difference = 0;
  for (let i = 0; i < ours.length; i++) {
    const d = Math.abs(ours[i]! - theirs[i]!);
    // NaN is no agreement.
    if (!(d < Number.POSITIVE_INFINITY)) return Number.POSITIVE_INFINITY;
    largest = Math.max(largest, Math.abs(ours[i]!));
    difference = Math.max(difference, d);
  }
  return difference === 0 ? 0 : difference / largest;
}
