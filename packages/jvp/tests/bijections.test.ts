/** The derivative suite: every row of the table, forward and reversed, in float64; `bijections-float32.test.ts` has the rest. */

import { type Bijection, initialize, zeroGrad } from '@invnet/layers';
import { reverse } from '@invnet/networks';
import { memory, RandomStream, setBackend, type Tensor } from '@invnet/tensor';
import { describe, expect, it } from 'vitest';
import { type DirectedMap, forwardMap, inverseMap } from '../src/directed.ts';
import { assertBijection } from '../src/index.ts';
import { contextOf, inputOf, rows, scatterParameters } from './rows.ts';

describe('in float64 on the reference backend', () => {
  it.each(rows)('$name', async (row) => {
    await setBackend('reference', { dtype: 'float64' });
    const f = row.make();
    using x = inputOf(row);
    const context = contextOf(row);
    await initialize(f, x, { context });
    scatterParameters(f);
    await assertBijection(f, { x, ...(context && { context }) });
  });

  // What is checked above are both directions; those of the reverse are the same, bit for bit.
  it.each(rows)('$name, reversed', async (row) => {
    await setBackend('reference', { dtype: 'float64' });
    const f = row.make();
    using x = inputOf(row);
    const context = contextOf(row);
    await initialize(f, x, { context });
    scatterParameters(f);
    const g = reverse(f);
    const { y, logdet } = f.forward(x, context);
    expect([g.outputShape(y.shape), g.inputShape(x.shape)]).toEqual([x.shape, y.shape]);
    const found = [
      resultsOf(f, forwardMap(g), y, context),
      resultsOf(f, inverseMap(g), x, context),
    ];
    expect(found).toEqual([
      resultsOf(f, inverseMap(f), y, context),
      resultsOf(f, forwardMap(f), x, context),
    ]);
    y.dispose();
    logdet.dispose();
  });
});

/** Rows of layers that take any size, and so that of another one along the last axis. */
const anySize = rows.filter((r) =>
  /^(ActNorm|Logit|Conv1x1|GlowCoupling|ShuffleSqueeze|HaarSqueeze),.* [123]D$/.test(r.name),
);

/** All that a direction of f computes at u, with the parameters' gradients; nothing else is left. */
function resultsOf(f: Bijection, map: DirectedMap, u: Tensor, context: Tensor | undefined) {
  zeroGrad(f.parameters);
  const before = memory();
  const random = new RandomStream(5);
  const draw = (like: Tensor) => random.normal(like.shape);
  const { v, logdet } = map.apply(u, context);
  const [dv, dlogdet, x] = [draw(v), draw(logdet), draw(u)];
  const dcontext = context && draw(context);
  const trained = f.parameters.filter((p) => !p.frozen);
  const parameters = new Map(trained.map((p) => [p, draw(p.data)]));
  const back = map.back(v, dv, { dlogdet, context });
  const jvp = map.jvp(u, { x, context: dcontext, parameters }, context);
  const made = [v, logdet, ...Object.values(back), ...Object.values(jvp)];
  const results = [...made, ...f.parameters.map((p) => p.grad)].map((t) => t?.dataSync());
  const drawn = [dv, dlogdet, x, ...(dcontext ? [dcontext] : []), ...parameters.values()];
  for (const t of new Set([...made, ...drawn])) t.dispose();
  zeroGrad(f.parameters);
  expect(memory()).toMatchObject({ liveBytes: before.liveBytes, tensors: before.tensors });
  return results;
}

describe('shapes and seeds drawn at random', () => {
  it('keep the contract', async () => {
    const { default: fc } = await import('fast-check');
    await setBackend('reference', { dtype: 'float64' });
    const row = fc.constantFrom(...anySize);
    await fc.assert(
      fc.asyncProperty(row, fc.integer({ min: 1, max: 3 }), fc.nat(1000), async (r, n, seed) => {
        const f = r.make();
        const shape = [n, ...r.shape.slice(1, -1), 2 * r.shape.at(-1)!];
        using x = inputOf({ ...r, shape }, seed);
        await initialize(f, x);
        scatterParameters(f);
        await assertBijection(f, { x, seed });
      }),
      { numRuns: 12, seed: 2 },
    );
  });
});
