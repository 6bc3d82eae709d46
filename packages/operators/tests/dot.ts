/** How far an operator's adjoint is from being its adjoint. */
import { dotTest, operatorOf } from '@invnet/jvp';
import type { LinearMap } from '../src/index.ts';

/** The relative difference of both sides of the dot test, on batches of so many samples. */
export async function adjointError(map: LinearMap, samples = 2): Promise<number> {
  return (await dotTest(operatorOf(map, samples))).error;
}
