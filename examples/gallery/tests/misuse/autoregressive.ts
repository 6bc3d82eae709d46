/** Right calls of the autoregressive maps of `@invnet/layers`. */
import * as api from '@invnet/layers';
import { RandomStream } from '@invnet/tensor';
import { type Calls, make } from './call.ts';
import { blockMethods, methodsOf } from './layers.ts';

/** Calls of their exports. */
export function autoregressiveCalls(): Calls {
  const random = () => new RandomStream(3);
  const [x, context] = [random().normal([2, 3]), random().normal([2, 2])];
  const shared = {
    hidden: [4],
    blocks: 'residual',
    activation: api.tanh(),
    contextChannels: 2,
    context: 'joined',
    random: random(),
  } as const;
  const made = { ...shared, channels: 3, size: 2, order: [2, 0, 1], passes: 2 };
  const adjacency = [
    [false, true, false],
    [false, false, false],
    [false, true, false],
  ];
  const transformer = new api.AffineTransformer();
  const map = { ...shared, channels: 3, transformer, adjacency };
  return {
    madeOptions: [],
    MadeBlock: [
      make(api.MadeBlock, [made]),
      ...blockMethods(new api.MadeBlock({ ...made, order: 'reversed' }), x, context),
    ],
    Autoregressive: [
      make(api.Autoregressive, [map]),
      ...methodsOf(new api.Autoregressive(map), x, context),
    ],
  };
}
