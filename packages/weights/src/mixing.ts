/** Matrices of channels as layers, and back. */
import { ActNorm, type Bijection, Conv1x1, Permutation, Sequential } from '@invnet/layers';
import { type Factors, inverseOrder } from './matrix.ts';
import { expectLayer, expectSequential, fill, filled, layerOf, numbersOf } from './pieces.ts';
import type { Section, SectionWriter } from './state-dict.ts';

/** x ↦ P L U x. */
export function mixingOf({ order, lu }: Factors, state: Section, frozen = false): Bijection {
  const n = order.length;
  const diagonal = (k: number) => lu[k * (n + 1)]!;
  if (order.some((_, k) => diagonal(k) === 0)) state.fail('is a singular matrix');
  const signs = Float64Array.from(order, (_, k) => Math.sign(diagonal(k)));
  const values = Float64Array.from(lu, (v, at) => {
    const [i, k] = [Math.floor(at / n), at % n];
    if (i === k) return Math.log(Math.abs(v));
    return i < k ? v * signs[k]! : v;
  });
  const sign = new ActNorm({ channels: n });
  fill(sign.scale, signs, state);
  fill(sign.shift, filled([n], 0), state);
  for (const p of sign.parameters) p.frozen = true;
  const conv = new Conv1x1({ channels: n, parametrization: 'plu', frozen });
  fill(conv.weights[0]!, values, state);
  const inverse = inverseOrder(order);
  return new Sequential({
    signs: sign,
    factors: conv,
    order: new Permutation({ channels: n, order: inverse.map((i) => n - 1 - i) }),
  });
}

/** P, L and U of such a layer. */
export async function factorsOf(layer: Bijection, out: SectionWriter): Promise<Factors> {
  const layers = expectSequential(layer, out);
  const sign = await numbersOf(expectLayer(layerOf(layers, 'signs', out), ActNorm, out).scale);
  const conv = expectLayer(layerOf(layers, 'factors', out), Conv1x1, out);
  const { order } = expectLayer(layerOf(layers, 'order', out), Permutation, out);
  const n = order.length;
  const values = await numbersOf(conv.weights[0]!);
  const lu = values.map((v, at) => {
    const [i, k] = [Math.floor(at / n), at % n];
    if (i === k) return Math.exp(v) * sign[k]!;
    return i < k ? v * sign[k]! : v;
  });
  return { order: inverseOrder(order.map((i) => n - 1 - i)), lu };
}
