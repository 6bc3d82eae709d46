/** Two bijections beside each other. */
import type { Tensor } from '@invnet/tensor';
import type { BackwardOptions, Bijection, Tangent } from './bijection.ts';
import type { Parameter } from './parameter.ts';
import type { Pair } from './state.ts';
import { addOwned, sumOfContexts, sumOfLogdets } from './sums.ts';

/**
 * (x₁, x₂) ↦ (f(x₁), g(x₂)); log-determinants add up. f and g may be one map.
 *
 * @example new Parallel(new ActNorm({ channels: 2 }), new ActNorm({ channels: 3 })).forward([x, y])
 */
export class Parallel implements Bijection<Pair> {
  readonly first: Bijection;
  readonly second: Bijection;
  readonly parameters: readonly Parameter[];

  constructor(first: Bijection, second: Bijection) {
    this.first = first;
    this.second = second;
    this.parameters = [...new Set([...first.parameters, ...second.parameters])];
  }

  forward([x1, x2]: Pair, context?: Tensor) {
    const a = this.first.forward(x1, context);
    const b = this.second.forward(x2, context);
    return { y: [a.y, b.y] as const, logdet: addOwned(a.logdet, b.logdet) };
  }

  inverse([y1, y2]: Pair, context?: Tensor) {
    const a = this.first.inverse(y1, context);
    const b = this.second.inverse(y2, context);
    return { x: [a.x, b.x] as const, logdet: addOwned(a.logdet, b.logdet) };
  }

  backward([y1, y2]: Pair, [dy1, dy2]: Pair, options?: BackwardOptions) {
    const a = this.first.backward(y1, dy1, options);
    const b = this.second.backward(y2, dy2, options);
    return { x: [a.x, b.x] as const, dx: [a.dx, b.dx] as const, ...sumOfContexts(a, b) };
  }

  backwardInverse([x1, x2]: Pair, [dx1, dx2]: Pair, options?: BackwardOptions) {
    const a = this.first.backwardInverse(x1, dx1, options);
    const b = this.second.backwardInverse(x2, dx2, options);
    return { y: [a.y, b.y] as const, dy: [a.dy, b.dy] as const, ...sumOfContexts(a, b) };
  }

  jvp([x1, x2]: Pair, tangent: Tangent<Pair>, context?: Tensor) {
    const a = this.first.jvp(x1, { ...tangent, x: tangent.x?.[0] }, context);
    const b = this.second.jvp(x2, { ...tangent, x: tangent.x?.[1] }, context);
    return { y: [a.y, b.y] as const, dy: [a.dy, b.dy] as const, ...sumOfLogdets(a, b) };
  }

  jvpInverse([y1, y2]: Pair, tangent: Tangent<Pair>, context?: Tensor) {
    const a = this.first.jvpInverse(y1, { ...tangent, x: tangent.x?.[0] }, context);
    const b = this.second.jvpInverse(y2, { ...tangent, x: tangent.x?.[1] }, context);
    return { x: [a.x, b.x] as const, dx: [a.dx, b.dx] as const, ...sumOfLogdets(a, b) };
  }
}
