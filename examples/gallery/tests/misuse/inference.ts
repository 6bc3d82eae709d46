/** Right calls of `@invnet/inference`. */
import * as inference from '@invnet/inference';
import { type Calls, make } from './call.ts';

/** Calls of all exports of inference. */
export function inferenceCalls(): Calls {
  return {
    SimulationError: [make(inference.SimulationError, ['a message'])],
  };
}
