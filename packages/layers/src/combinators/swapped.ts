/** A bijection of pairs that takes and gives its pair the other way round. */
import type { Shape } from '@invnet/tensor';
import type { Bijection } from '../core/bijection.ts';
import type { Pair } from '../core/state.ts';
import { Rearranged } from './rearranged.ts';

/** (a, b) ↦ (y₂, y₁) with (y₁, y₂) = f(b, a). */
export class Swapped extends Rearranged<Pair, Pair> {
  static readonly type: string = 'Swapped';

  constructor(inner: Bijection<Pair>) {
    super(inner, 2);
  }

  static build({ inner }: { readonly inner: Bijection<Pair> }): Swapped {
    return new Swapped(inner);
  }

  get options() {
    return { inner: this.inner };
  }

  override get stateSize(): 2 {
    return 2;
  }

  protected enter([a, b]: Pair): Pair {
    return [b, a];
  }

  protected leave([a, b]: Pair): Pair {
    return [b, a];
  }

  protected enterShape([a, b]: readonly [Shape, Shape]): readonly [Shape, Shape] {
    return [b, a];
  }

  protected leaveShape([a, b]: readonly [Shape, Shape]): readonly [Shape, Shape] {
    return [b, a];
  }
}
