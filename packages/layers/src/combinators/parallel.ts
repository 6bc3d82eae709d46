/** Two bijections beside each other. */
import { requireRecord, type Shape, type Tensor, ValueError } from '@invnet/tensor';
import {
  type BackwardOptions,
  type Bijection,
  PairBijection,
  requireBijection,
} from '../core/bijection.ts';
import type { Pair } from '../core/state.ts';
import { addOwned, sumOfContexts, sumOfLogdets } from '../core/sums.ts';
import type { Tangent } from '../core/tangent.ts';
import type { Options } from '../tree/module.ts';
import { requireName } from '../tree/path.ts';

/**
 * (x₁, x₂) ↦ (f(x₁), g(x₂)); log-determinants add up. f and g may be one map.
 *
 * Its children are called `first` and `second`, or by the keys of a record of the two.
 *
 * @example
 * new Parallel(new ActNorm({ channels: 2 }), new ActNorm({ channels: 3 })).forward([x, y]);
 * new Parallel({ data: new ActNorm({ channels: 2 }), condition: new ActNorm({ channels: 3 }) });
 */
export class Parallel extends PairBijection {
  static readonly type: string = 'Parallel';
  /** The two maps by name. */
  readonly inner: Readonly<Record<string, Bijection>>;

  /** @throws ValueError unless a record has two entries. */
  constructor(first: Bijection, second: Bijection);
  constructor(maps: Readonly<Record<string, Bijection>>);
  constructor(first: Bijection | Readonly<Record<string, Bijection>>, second?: Bijection) {
    super();
    if (second === undefined) requireRecord('Parallel', 'maps', first, 'two maps, or a record');
    this.inner = second
      ? { first: first as Bijection, second }
      : { ...(first as Readonly<Record<string, Bijection>>) };
    const names = Object.keys(this.inner);
    if (names.length !== 2) {
      throw new ValueError(`Parallel: got ${names.length} maps; expected two.`);
    }
    for (const name of names) {
      requireBijection('Parallel', name, this.inner[name]!, 1);
      requireName('Parallel', name);
      if (!/^\d+$/.test(name)) continue;
      throw new ValueError(
        `Parallel: a map is called '${name}'; expected names that are no numbers.`,
      );
    }
  }

  static build({ maps }: { readonly maps: Readonly<Record<string, Bijection>> }): Parallel {
    return new Parallel(maps);
  }

  get options(): Options {
    return { maps: this.inner };
  }

  get first(): Bijection {
    return Object.values(this.inner)[0]!;
  }

  get second(): Bijection {
    return Object.values(this.inner)[1]!;
  }

  protected apply([x1, x2]: Pair, context?: Tensor) {
    const a = this.first.forward(x1, context);
    const b = this.second.forward(x2, context);
    return { y: [a.y, b.y] as const, logdet: addOwned(a.logdet, b.logdet) };
  }

  protected invert([y1, y2]: Pair, context?: Tensor) {
    const a = this.first.inverse(y1, context);
    const b = this.second.inverse(y2, context);
    return { x: [a.x, b.x] as const, logdet: addOwned(a.logdet, b.logdet) };
  }

  protected applyBackward([y1, y2]: Pair, [dy1, dy2]: Pair, options: BackwardOptions) {
    const b = this.second.backward(y2, dy2, options);
    const a = this.first.backward(y1, dy1, options);
    return { x: [a.x, b.x] as const, dx: [a.dx, b.dx] as const, ...sumOfContexts(a, b) };
  }

  protected invertBackward([x1, x2]: Pair, [dx1, dx2]: Pair, options: BackwardOptions) {
    const b = this.second.backwardInverse(x2, dx2, options);
    const a = this.first.backwardInverse(x1, dx1, options);
    return { y: [a.y, b.y] as const, dy: [a.dy, b.dy] as const, ...sumOfContexts(a, b) };
  }

  protected applyTangent([x1, x2]: Pair, tangent: Tangent<Pair>, context?: Tensor) {
    const [dx1, dx2] = tangent.x ?? [];
    const a = this.first.jvp(x1, { ...tangent, x: dx1 }, context);
    const b = this.second.jvp(x2, { ...tangent, x: dx2 }, context);
    return { y: [a.y, b.y] as const, dy: [a.dy, b.dy] as const, ...sumOfLogdets(a, b) };
  }

  protected invertTangent([y1, y2]: Pair, tangent: Tangent<Pair>, context?: Tensor) {
    const [dy1, dy2] = tangent.x ?? [];
    const a = this.first.jvpInverse(y1, { ...tangent, x: dy1 }, context);
    const b = this.second.jvpInverse(y2, { ...tangent, x: dy2 }, context);
    return { x: [a.x, b.x] as const, dx: [a.dx, b.dx] as const, ...sumOfLogdets(a, b) };
  }

  protected override applyShape([x1, x2]: readonly [Shape, Shape]): readonly [Shape, Shape] {
    return [this.first.outputShape(x1), this.second.outputShape(x2)];
  }

  protected override invertShape([y1, y2]: readonly [Shape, Shape]): readonly [Shape, Shape] {
    return [this.first.inputShape(y1), this.second.inputShape(y2)];
  }
}
