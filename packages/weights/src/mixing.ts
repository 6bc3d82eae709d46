/** Matrices of channels as layers, and back. */
import { type Bijection, Conv1x1 } from '@invnet/layers';
import { type Factors, inverseOrder } from './matrix.ts';
import { expectLayer, fill, numbersOf } from './pieces.ts';
import type { Section, SectionWriter } from './state-dict.ts';

/** x ↦ P L U x. */
export function mixingOf({ order, lu }: Factors, state: Section, frozen = false): Conv1x1 {
  const channels = order.length;
  const signs = order.map((_, k) => Math.sign(lu[k * (channels + 1)]!));
  if (signs.includes(0)) state.fail('is a singular matrix');
  const rows = inverseOrder(order);
  const mix = new Conv1x1({ channels, parametrization: 'plu', rows, signs, frozen });
  const logs = lu.map((v, at) => (onDiagonal(at, channels) ? Math.log(Math.abs(v)) : v));
  fill(mix.weights[0]!, logs, state);
  return mix;
}

/** P, L and U of such a layer. */
export async function factorsOf(layer: Bijection, out: SectionWriter): Promise<Factors> {
  const { channels, options, weights } = expectLayer(layer, Conv1x1, out);
  const { rows, signs } = options;
  if (!rows || !signs) return out.fail('has no rows and signs of its own, as an import gives it');
  const logs = await numbersOf(weights[0]!);
  const lu = logs.map((v, at) =>
    onDiagonal(at, channels) ? signs[at % channels]! * Math.exp(v) : v,
  );
  return { order: inverseOrder(rows), lu };
}

function onDiagonal(at: number, channels: number): boolean {
  return at % (channels + 1) === 0;
}
