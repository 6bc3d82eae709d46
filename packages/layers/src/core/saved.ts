/** What a conditioner leaves for its backward, and whose it is. */
import { formatValue, type Shape, type Tensor, ValueError } from '@invnet/tensor';
import type { Module } from '../tree/module.ts';

/** What a conditioner's forward leaves for its backward; the caller disposes it. */
export interface Saved<K = unknown> {
  /** What `apply` kept. */
  readonly kept: K;
  /** The shape of x. */
  readonly input: Shape;
  /** The shape of the result, whose gradient `backward` takes. */
  readonly shape: Shape;
  /** The context that `forward` got. */
  readonly context: Tensor | undefined;
  dispose(): void;
}

/** What a conditioner's forward gives. */
export interface Evaluation<K = unknown> {
  readonly y: Tensor;
  readonly saved: Saved<K>;
}

/** Notes that it is what a block's forward left. */
export function savedBy<K>(g: Module, saved: Saved<K>): Saved<K> {
  return new Left(g, saved);
}

/** @throws ValueError unless it is what the block's `forward` left. */
export function requireSaved(g: Module, saved: Saved): void {
  if (Left.isBy(g, saved)) return;
  throw new ValueError(
    `${g.type}.backward: saved is ${formatValue(saved)}; expected what a forward of this ${g.type} gave.`,
  );
}

/** What was left, and by which block, which no copy has. A `WeakMap` would take as long as a small operation. */
class Left<K> implements Saved<K> {
  readonly kept: K;
  readonly input: Shape;
  readonly shape: Shape;
  readonly context: Tensor | undefined;
  readonly dispose: () => void;
  readonly #by: Module;

  constructor(by: Module, { kept, input, shape, context, dispose }: Saved<K>) {
    this.kept = kept;
    this.input = input;
    this.shape = shape;
    this.context = context;
    this.dispose = dispose;
    this.#by = by;
  }

  static isBy(g: Module, saved: unknown): boolean {
    return typeof saved === 'object' && saved !== null && #by in saved && saved.#by === g;
  }
}
