/** Directions of forward differentiation. */
import type { Tensor } from '@invnet/tensor';
import type { Parameter } from '../tree/parameter.ts';
import type { State } from './state.ts';

/** A direction to differentiate along; what is left out is zero. */
export interface Tangent<S extends State = Tensor> {
  /** Direction of the map's argument: x of `jvp`, y of `jvpInverse`. */
  readonly x?: S | undefined;
  /** Directions of parameters, under any of their names; those missing do not move. */
  readonly parameters?: ReadonlyMap<Parameter, Tensor> | undefined;
  readonly context?: Tensor | undefined;
}
