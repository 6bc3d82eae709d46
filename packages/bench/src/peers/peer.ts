/** What is measured in `bench gpu`, on the same numbers by every library. */

/** Sizes of the operations that are measured. */
export interface OperationSizes {
  /** Of the convolution; also the width of Glow's conditioners. */
  readonly channels: number;
  /** Of the matrices. */
  readonly side: number;
}

/** Names of the operations, which are one row group each in the table. */
export function operationNames({ channels, side }: OperationSizes) {
  return {
    conv: `conv 3×3 [8, ${channels}, 32, 32]`,
    product: `product ${side}³`,
    glow: `Glow step, hidden ${channels}`,
  };
}

/** Sizes of the Glow whose training step is measured, and of its data. */
export function glowSizes(channels: number) {
  return { batch: 8, channels: 3, side: 16, hidden: channels, scales: 2, steps: 2 };
}

/** Those of one Glow. */
export type GlowSizes = ReturnType<typeof glowSizes>;

/** Numbers on their way from one library to another, channels first. */
export interface Numbers {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** The inputs of all operations. */
export interface Problem {
  readonly sizes: OperationSizes;
  /** Convolved with `w`. */
  readonly x: Numbers;
  readonly w: Numbers;
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
  /** The whole result, channels first; of a training step the loss and then each gradient. */
  readonly result: () => Promise<Results>;
}

/** A library, with its backend. */
export interface Peer {
  readonly library: string;
  readonly backend: string;
  /** Its operations, prepared. @throws Error where the library cannot be had or run here. */
  load(problem: Problem): Promise<Operation[]>;
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
