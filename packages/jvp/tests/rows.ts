/** The table of all bijections: adding a layer or a network adds a row. */
import type { Module } from '@invnet/layers';
import { add, RandomStream, type Tensor } from '@invnet/tensor';
import type { Row } from './row.ts';
import { autoregressiveRows } from './rows/autoregressive.ts';
import { combinatorRows } from './rows/combinators.ts';
import { continuousRows } from './rows/continuous.ts';
import { couplingBlockRows } from './rows/coupling-blocks.ts';
import { couplingRows } from './rows/couplings.ts';
import { elementwiseRows } from './rows/elementwise.ts';
import { glowRows } from './rows/glow-networks.ts';
import { graphRows } from './rows/graphs.ts';
import { linearRows } from './rows/linear.ts';
import { networkRows } from './rows/networks.ts';
import { residualRows } from './rows/residual.ts';
import { squeezeRows } from './rows/squeezes.ts';
import { transformerRows } from './rows/transformers.ts';

/** In the order of the rooms that the layers stand in, then the networks. */
const tables: readonly ((ndims: number) => Row[])[] = [
  elementwiseRows,
  linearRows,
  squeezeRows,
  transformerRows,
  combinatorRows,
  couplingRows,
  couplingBlockRows,
  autoregressiveRows,
  residualRows,
  continuousRows,
  glowRows,
  networkRows,
  graphRows,
];

/** Every layer and network on vectors, where it takes them, and in 1D, 2D and 3D. */
export const rows: readonly Row[] = [0, 1, 2, 3].flatMap((ndims) =>
  tables
    .flatMap((rowsIn) => rowsIn(ndims))
    .map((row) => ({ ...row, name: `${row.name}, ${ndims}D` })),
);

/** The row's context, on the current backend. */
export function contextOf(row: Pick<Row, 'context'>, seed = 1): Tensor | undefined {
  return row.context && new RandomStream(seed + 100).normal(row.context);
}

/** The row's input, on the current backend. */
export function inputOf(row: Pick<Row, 'shape' | 'draw'>, seed = 1): Tensor {
  const stream = new RandomStream(seed);
  return row.draw ? row.draw(stream, row.shape) : stream.normal(row.shape);
}

/** Moves every parameter off its start, so that no check profits from zeros and ones. */
export function scatterParameters(f: Module): void {
  const stream = new RandomStream(17);
  for (const p of f.parameters) {
    using delta = stream.normal(p.shape, 0.2);
    using moved = add(p.data, delta);
    p.assign(moved);
  }
}
