/** Rows of continuous flows. `ContinuousFlow`, which is as exact as its solver, is in `continuous.test.ts`. */
import { MidpointFlow, SmoothField } from '@invnet/layers';
import { type Row, random } from '../row.ts';

export function continuousRows(ndims: number): Row[] {
  if (ndims > 0) return [];
  const sizes = { channels: 2, frequencies: 1 };
  return [
    {
      name: 'MidpointFlow',
      shape: [2, 2],
      make: () =>
        new MidpointFlow({
          field: new SmoothField({ ...sizes, hidden: [2, 2], random: random() }),
          steps: 2,
        }),
    },
    {
      name: 'MidpointFlow with a context',
      shape: [2, 2],
      context: [2, 1],
      make: () => {
        const field = new SmoothField({
          ...sizes,
          hidden: [2],
          contextChannels: 1,
          activation: 'tanh',
          random: random(),
        });
        return new MidpointFlow({ field, steps: 2 });
      },
    },
  ];
}
