/** `LULinear`, which nflows has and normflows took from it: y = L U x + b with positive diagonals of U. */
import { ActNorm, type Bijection, Sequential } from '@invnet/layers';
import { factorize, matrixOf, triangle } from './matrix.ts';
import { factorsOf, mixingOf } from './mixing.ts';
import { expectLayer, expectSequential, fill, filled, layerOf, numbersOf } from './pieces.ts';
import type { Section, SectionWriter } from './state-dict.ts';

/** Added to softplus(u) on the diagonal. */
const least = 1e-3;

/** The matrix, and its bias as a normalization whose scale stays 1. */
export function readTriangles(state: Section): Sequential {
  const [n = 0] = state.shapeOf('bias');
  const pairs = (n * (n - 1)) / 2;
  const lower = state.numbers('lower_entries', [pairs]);
  const upper = state.numbers('upper_entries', [pairs]);
  const diagonal = state.numbers('unconstrained_upper_diag', [n]);
  const lu = new Float64Array(n * n);
  triangle(n, 'below').forEach(([i, j], at) => {
    lu[i * n + j] = lower[at]!;
  });
  triangle(n, 'above').forEach(([i, j], at) => {
    lu[i * n + j] = upper[at]!;
  });
  diagonal.forEach((u, i) => {
    lu[i * (n + 1)] = softplus(u) + least;
  });
  const bias = new ActNorm({ channels: n });
  fill(bias.scale, filled([n], 1), state);
  fill(bias.shift, state.numbers('bias'), state);
  bias.scale.frozen = true;
  const order = Array.from({ length: n }, (_, i) => i);
  return new Sequential({ matrix: mixingOf({ order, lu }, state), bias });
}

export async function writeTriangles(layer: Bijection, out: SectionWriter): Promise<void> {
  const layers = expectSequential(layer, out);
  const norm = expectLayer(layerOf(layers, 'bias', out), ActNorm, out);
  const [scale, bias] = await Promise.all([numbersOf(norm.scale), numbersOf(norm.shift)]);
  const n = bias.length;
  const matrix = matrixOf(await factorsOf(layerOf(layers, 'matrix', out), out));
  // A scale that was trained belongs to the rows of the matrix.
  const lu = factorize(
    matrix.map((v, at) => v * scale[Math.floor(at / n)]!),
    false,
  )?.lu;
  const diagonal = Array.from({ length: n }, (_, i) => (lu ? lu[i * (n + 1)]! : 0) - least);
  if (!lu || !diagonal.every((u) => u > 0)) {
    return out.fail(
      'has a matrix that is no L U with diagonals of U above 0.001, as a LULinear has; expected one that was imported',
    );
  }
  const entries = (part: 'below' | 'above') => triangle(n, part).map(([i, j]) => lu[i * n + j]!);
  const [below, above] = [entries('below'), entries('above')];
  out.set('bias', [n], bias);
  out.set('lower_entries', [below.length], below);
  out.set('upper_entries', [above.length], above);
  out.set('unconstrained_upper_diag', [n], diagonal.map(inverseSoftplus));
}

function softplus(u: number): number {
  return Math.max(u, 0) + Math.log1p(Math.exp(-Math.abs(u)));
}

/** log(eᵛ − 1) */
function inverseSoftplus(v: number): number {
  return v + Math.log(-Math.expm1(-v));
}
