/** Every row of the tables of layers and networks, in both runtimes, against what this library computes. */
import { Flow, negativeLogLikelihood } from '@invnet/flows';
import { CustomBlock, evaluate, GlowCoupling, initialize, ResidualBlock } from '@invnet/layers';
import { RandomStream, type Shape, setBackend } from '@invnet/tensor';
import { beforeAll, it } from 'vitest';
import { conditionerRows } from '../../jvp/tests/conditioner-rows.ts';
import { operators } from '../../jvp/tests/operators.ts';
import type { Row } from '../../jvp/tests/row.ts';
import { glowRows } from '../../jvp/tests/rows/glow-networks.ts';
import { networkRows } from '../../jvp/tests/rows/networks.ts';
import { contextOf, inputOf, rows, scatterParameters } from '../../jvp/tests/rows.ts';
import { exportOnnx } from '../src/index.ts';
import { expectEqual, runtimes } from './runtimes.ts';

beforeAll(() => setBackend('wasm'));

const batchSizes = [1, 3];

it.each(rows)('$name', async (row) => {
  const f = row.make();
  await initialize(f, inputOf(row), { context: contextOf(row) });
  scatterParameters(f);
  const forward = await exportOnnx(f, { ...sampleOf(row), of: 'forward' });
  const inverse = await exportOnnx(f, { ...sampleOf(row), of: 'inverse' });
  for (const [name, open] of Object.entries(runtimes)) {
    const [runForward, runInverse] = [await open(forward), await open(inverse)];
    for (const samples of batchSizes) {
      const sized = resized(row, samples);
      const [x, context] = [inputOf(sized), contextOf(sized)];
      const { y, logdet } = f.forward(x, context);
      const there = await runForward({ x, context });
      await expectEqual(there.y, y, `${name}, y`);
      await expectEqual(there.logdet, logdet, `${name}, logdet`);
      const again = f.inverse(y, context);
      const back = await runInverse({ y, context });
      await expectEqual(back.x, again.x, `${name}, x`);
      await expectEqual(back.logdet, again.logdet, `${name}, logdet of the inverse`);
    }
  }
  f.dispose();
});

const networks = [0, 1, 2, 3].flatMap((ndims) => [...glowRows(ndims), ...networkRows(ndims)]);

it.each(networks)('$name, the density of its flow', async (row) => {
  const flow = new Flow({ network: row.make() });
  await initialize(flow, inputOf(row), { context: contextOf(row) });
  scatterParameters(flow);
  const bytes = await exportOnnx(flow, { ...sampleOf(row), of: 'logProb' });
  for (const [name, open] of Object.entries(runtimes)) {
    const run = await open(bytes);
    for (const samples of batchSizes) {
      const sized = resized(row, samples);
      const [x, context] = [inputOf(sized), contextOf(sized)];
      const { logProb } = await run({ x, context });
      await expectEqual(logProb, flow.logProb(x, context), `${name}, logProb`);
    }
  }
  flow.dispose();
});

// Functions without a name cannot be copied.
const copied = conditionerRows.filter((row) => !(row.make() instanceof CustomBlock));

it.each(copied)('$name', async (row) => {
  const g = row.make();
  g.training = false;
  scatterParameters(g);
  const bytes = await exportOnnx(g, { ...sampleOf(row), of: 'forward' });
  for (const [name, open] of Object.entries(runtimes)) {
    const run = await open(bytes);
    for (const samples of batchSizes) {
      const sized = resized(row, samples);
      const [x, context] = [inputOf(sized), contextOf(sized)];
      await expectEqual((await run({ x, context })).y, evaluate(g, x, context), name);
    }
  }
  g.dispose();
});

/** Backwards, kernels see three axes whatever the rank is. */
const trained: readonly Row[] = [
  ...rows.filter(({ name }) => name.endsWith('2D')),
  ...[1, 3].map(stridedRow),
];

it.each(trained)('$name, its gradients', async (row) => {
  const flow = new Flow({ network: row.make() });
  await initialize(flow, inputOf(row), { context: contextOf(row) });
  scatterParameters(flow);
  const { 'onnxruntime-node': open } = runtimes;
  const step = await open!(await exportOnnx(flow, { ...sampleOf(row), of: 'gradients' }));
  const [x, context] = [inputOf(row), contextOf(row)];
  const weights = flow.parameters.filter((p) => !p.frozen).map((p) => [p.name, p.data]);
  const found = await step({ x, context, ...Object.fromEntries(weights) });
  await expectEqual(found.loss, negativeLogLikelihood(flow, x, context), 'loss');
  for (const p of flow.parameters) {
    if (p.grad) await expectEqual(found[`${p.name}.grad`], p.grad, `${p.name}.grad`);
  }
  flow.dispose();
});

/** Strides that leave some of the input over. */
function stridedRow(ndims: number): Row {
  const sizes = { inChannels: 2, hidden: 3, outChannels: 4, ndims, random: new RandomStream(3) };
  const make = () => {
    const conditioner = new ResidualBlock({ ...sizes, stride: 2 });
    return new GlowCoupling({ channels: 4, conditioner });
  };
  return {
    name: `GlowCoupling, strided, ${ndims}D`,
    shape: [2, 4, ...[5, 6, 7].slice(0, ndims)],
    make,
  };
}

/** What is said of a row's data when it is exported. */
function sampleOf({ shape, context }: { shape: Shape; context?: Shape }) {
  return { shape: shape.slice(1), ...(context && { context: context.slice(1) }), named: operators };
}

/** The row with so many samples. */
function resized<R extends { shape: Shape; context?: Shape }>(row: R, samples: number): R {
  const { shape, context } = row;
  return {
    ...row,
    shape: shape.with(0, samples),
    ...(context && { context: context.with(0, samples) }),
  };
}
