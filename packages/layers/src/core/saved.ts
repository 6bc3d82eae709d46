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

/** By which block it was left. A symbol stands in no walk through tensors, and a copy has it too. */
const saver = Symbol('saver');

/** Notes that it is what a block's forward left. */
export function savedBy<K>(g: Module, saved: Saved<K>): Saved<K> {
  return Object.assign(saved, { [saver]: g });
}

/** @throws ValueError unless it is what the block's `forward` left. */
export function requireSaved(g: Module, saved: Saved): void {
  if (typeof saved === 'object' && saved !== null && saver in saved && saved[saver] === g) return;
  throw new ValueError(
    `${g.type}.backward: saved is ${formatValue(saved)}; expected what a forward of this ${g.type} gave.`,
  );
}
