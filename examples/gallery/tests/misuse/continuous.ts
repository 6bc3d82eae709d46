/** Right calls of the continuous flows of `@invnet/layers`. */
import * as api from '@invnet/layers';
import { RandomStream, tensor } from '@invnet/tensor';
import { type Calls, call, make, on } from './call.ts';
import { blockMethods, methodsOf } from './layers.ts';

/** Calls of their exports. */
export function continuousCalls(): Calls {
  const random = () => new RandomStream(3);
  const x = random().normal([2, 2]);
  const context = random().normal([2, 1]);
  const xt = api.withTime(x, 0.5);
  const times = tensor([0.1, 0.9]);
  const sizes = { channels: 2, contextChannels: 1, frequencies: 2, random: random() };
  const smooth = { ...sizes, hidden: [2], activation: 'tanh' } as const;
  const field = new api.SmoothField(smooth);
  const other = new api.ConditionerField({ channels: 2, hidden: 2 });
  const noise = { divergence: 'hutchinson', seed: 4, random: random() } as const;
  const tolerances = { relativeTolerance: 1e-2, absoluteTolerance: 1e-2 };
  const coarse = new api.ContinuousFlow({ field: other, ...tolerances });
  const rate = (g: api.VelocityField) => on(g, 'rate', [x, 0.5, [x]]);
  return {
    ConditionerField: [
      make(api.ConditionerField, [{ ...sizes, hidden: 2, ndims: 0 }]),
      ...blockMethods(other, xt),
      on(other, 'velocity', [x, 0.5]),
      rate(other),
    ],
    ContinuousFlow: [
      make(api.ContinuousFlow, [{ field, ...tolerances, steps: 20, ...noise }]),
      make(api.ContinuousFlow, [{ field, solver: 'rungeKutta4', steps: 2 }]),
      on(coarse, 'forward', [x]),
      on(coarse, 'inverse', [x]),
      ...methodsOf(new api.ContinuousFlow({ field, ...tolerances }), x, context),
    ],
    MidpointFlow: [
      make(api.MidpointFlow, [{ field, steps: 2, maxIterations: 100, ...noise }]),
      ...methodsOf(new api.MidpointFlow({ field, steps: 2 }), x, context),
    ],
    SmoothField: [
      make(api.SmoothField, [smooth]),
      ...blockMethods(field, xt, context),
      on(field, 'velocity', [x, times, context]),
      on(field, 'rate', [x, 0.5, [x], context]),
    ],
    VelocityField: [],
    withTime: [call(api.withTime, [x, times]), call(api.withTime, [x, 0.5])],
    withoutLogdet: [call(api.withoutLogdet, [() => 1])],
  };
}
