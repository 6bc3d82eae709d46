/** All activations and scale functions, for loading and building. */
import type { ModuleType } from '../tree/module.ts';
import { leakyRelu, relu, sigmoid, sigmoid2, softplus, tanh } from './activations.ts';
import { atanClamp, exp, expClamp, softsignClamp } from './exponentials.ts';
import { shiftedSigmoid, softplusScale } from './scales.ts';
import { elu, gelu, silu } from './smooth-activations.ts';

/** All functions here, by their names in files. */
export const activationTypes: readonly ModuleType[] = [
  { type: 'relu', build: relu },
  { type: 'leakyRelu', build: leakyRelu },
  { type: 'tanh', build: tanh },
  { type: 'softplus', build: softplus },
  { type: 'sigmoid', build: sigmoid },
  { type: 'sigmoid2', build: sigmoid2 },
  { type: 'exp', build: exp },
  { type: 'expClamp', build: expClamp },
  { type: 'atanClamp', build: atanClamp },
  { type: 'softsignClamp', build: softsignClamp },
  { type: 'shiftedSigmoid', build: shiftedSigmoid },
  { type: 'softplusScale', build: softplusScale },
  { type: 'elu', build: elu },
  { type: 'gelu', build: gelu },
  { type: 'silu', build: silu },
];
