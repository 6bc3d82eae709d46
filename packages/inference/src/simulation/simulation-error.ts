/** What a user's simulator did wrong. */
import { InvNetError } from '@invnet/tensor';

/**
 * A simulator that threw, ran out of its time, or gave what is no observation.
 *
 * @example
 * throw new SimulationError('simulate: the simulator threw for all 100 parameters.', { cause });
 */
export class SimulationError extends InvNetError {
  override name = 'SimulationError';
}
