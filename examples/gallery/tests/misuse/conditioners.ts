/** Right calls of the conditioners of `@invnet/layers`, and of what makes them. */
import * as api from '@invnet/layers';
import { type Calls, call } from './call.ts';

/** Calls of these exports. */
export function conditionerCalls(): Calls {
  const factory = () => new api.DenseBlock({ inChannels: 2, hidden: 2, outChannels: 2 });
  const block = factory();
  const shape = { inChannels: 2, outChannels: 2, ndims: 0, contextChannels: 1 };
  return {
    makeConditioner: [
      call(api.makeConditioner, ['coupling', undefined, shape, { hidden: 2 }]),
      call(api.makeConditioner, ['coupling', block, shape, {}]),
      call(api.makeConditioner, ['coupling', factory, shape, {}]),
    ],
    withContext: [call(api.withContext, [factory])],
    supplyConditioners: [
      call(api.supplyConditioners, ['Glow', [block]]),
      call(api.supplyConditioners, ['Glow', factory]),
    ],
  };
}
