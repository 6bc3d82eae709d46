/**
 * The promise that all that a call made is freed also when it throws, and changes nothing: every method of
 * every row fails at its operations on `reference`, and where memory ends on `wasm`, whose passes over
 * layers make several tensors in one go.
 */
import { Flow, negativeLogLikelihood } from '@invnet/flows';
import { initialize } from '@invnet/layers';
import { RandomStream, ReferenceBackend, WasmBackend } from '@invnet/tensor';
import { describe, it } from 'vitest';
import { conditionerRows, drawn } from './conditioner-rows.ts';
import { expectNothingLeft, useFaulty } from './failures.ts';
import { contextOf, inputOf, rows } from './rows.ts';

/** On vectors and in 2D: other numbers of axes run the same code. */
const isChosen = ({ name }: { readonly name: string }) => !/[13]D$/.test(name);

describe.each([
  { kind: 'operation', make: () => new ReferenceBackend() },
  { kind: 'allocation', make: () => new WasmBackend() },
] as const)('where an $kind fails', ({ kind, make }) => {
  it.each(rows.filter(isChosen))('$name', async (row) => {
    const faulty = await useFaulty(make());
    const f = row.make();
    const [x, context] = [inputOf(row), contextOf(row)];
    await initialize(f, x, { context });
    const { y } = f.forward(x, context);
    const random = new RandomStream(5);
    const [dx, dy] = [random.normal(x.shape), random.normal(y.shape)];
    const options = { dlogdet: random.normal([x.shape[0]!]), context };
    const parameters = new Map(f.parameters.map((p) => [p, random.normal(p.shape)]));
    const flow = new Flow({ network: f });
    await expectNothingLeft(faulty, kind, flow, {
      forward: () => f.forward(x, context),
      inverse: () => f.inverse(y, context),
      backward: () => f.backward(y, dy, options),
      backwardInverse: () => f.backwardInverse(x, dx, options),
      jvp: () => f.jvp(x, { x: dx, parameters, context }, context),
      jvpInverse: () => f.jvpInverse(y, { x: dy, parameters, context }, context),
      logProb: () => flow.logProb(x, context),
      sample: () => flow.sample({ shape: x.shape, seed: 1, ...(context && { context }) }),
      negativeLogLikelihood: () => negativeLogLikelihood(flow, x, context),
    });
  });

  it.each(conditionerRows.filter(isChosen))('$name', async (row) => {
    const { context, make: makeBlock } = row;
    const faulty = await useFaulty(make());
    const g = makeBlock();
    const random = new RandomStream(5);
    const x = drawn(row, random);
    const c = context && random.normal(context);
    const { y, saved } = g.forward(x, c);
    const dy = random.normal(y.shape);
    const parameters = new Map(g.parameters.map((p) => [p, random.normal(p.shape)]));
    await expectNothingLeft(faulty, kind, g, {
      forward: () => {
        const { y, saved } = g.forward(x, c);
        saved.dispose();
        return y;
      },
      backward: () => g.backward(dy, saved),
      jvp: () => g.jvp(x, { x, parameters, ...(c && { context: c }) }, c),
    });
  });
});
