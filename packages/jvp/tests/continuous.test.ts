/**
 * Derivatives of a `ContinuousFlow`, which are solutions of equations like the flow itself: all checks of the table, to
 * what a solver's tolerances leave of them.
 */
import { ContinuousFlow, SmoothField } from '@invnet/layers';
import { RandomStream, setBackend } from '@invnet/tensor';
import { expect, it } from 'vitest';
import { checkBijection } from '../src/index.ts';
import { scatterParameters } from './rows.ts';

it('holds for a ContinuousFlow with a context', async () => {
  await setBackend('reference', { dtype: 'float64' });
  const random = new RandomStream(3);
  const sizes = { channels: 2, contextChannels: 1, hidden: [2], frequencies: 1, random };
  const solver = { relativeTolerance: 1e-8, absoluteTolerance: 1e-8 };
  const f = new ContinuousFlow({ field: new SmoothField(sizes), ...solver });
  scatterParameters(f);
  using x = random.normal([1, 2]);
  using context = random.normal([1, 1]);
  const tolerances = { roundTrip: 1e-7, adjoint: 1e-7 };
  const results = await checkBijection(f, { x, context, tolerances });
  expect(results.filter(({ passed }) => !passed)).toEqual([]);
});
