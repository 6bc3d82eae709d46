/** What another library does in `bench gpu`. */

/** Sizes of the operations that are measured. */
export interface OperationSizes {
  readonly channels: number;
  readonly side: number;
}

/** A measured operation: runs once and ends when its result was read. */
export type Operation = readonly [name: string, run: () => Promise<void>];

/** A library, with its backend. */
export interface Peer {
  readonly library: string;
  /** The operations that it has, prepared. @throws Error where the library cannot run here. */
  load(sizes: OperationSizes): Promise<Operation[]>;
}

/** Names of the operations, which are one row group each in the table. */
export function operationNames({ channels, side }: OperationSizes) {
  return {
    conv: `conv 3×3 [8, ${channels}, 32, 32]`,
    product: `product ${side}³`,
    glow: `Glow step, hidden ${channels}`,
  };
}

/** Sizes of the Glow whose training step is measured. */
export function glowSizes(channels: number) {
  return { batch: 8, channels: 3, side: 16, hidden: channels, scales: 2, steps: 2 };
}

/** Numbers that stand for data and weights. */
export function numbers(shape: readonly number[], scale = 0.1): Float32Array {
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
  for (let i = 0; i < values.length; i++) values[i] = scale * Math.sin(1.7 * i + 0.3);
  return values;
}
