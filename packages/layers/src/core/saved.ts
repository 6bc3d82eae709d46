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

/** Which block left what. */
const savers = new WeakMap<object, Module>();

/** Notes that it is what a block's forward left. */
export function savedBy<K>(g: Module, saved: Saved<K>): Saved<K> {
  savers.set(saved, g);
  return saved;
}

/** @throws ValueError unless it is what the block's `forward` left. */
export function requireSaved(g: Module, saved: Saved): void {
  if (savers.get(saved) === g) return;
  throw new ValueError(
    `${g.type}.backward: saved is ${formatValue(saved)}; expected what a forward of this ${g.type} gave.`,
  );
}
