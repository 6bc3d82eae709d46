/** The numbers by which the kernels know operations; the order is that of assembly/*.ts. */
import type { BinaryOp, ReduceOp, UnaryOp } from '../backend.ts';

export const unaryCodes: Readonly<Record<Exclude<UnaryOp, 'power'>, number>> = {
  abs: 0,
  affine: 1,
  exp: 2,
  leakyRelu: 3,
  log: 4,
  neg: 5,
  reciprocal: 6,
  relu: 7,
  sigmoid: 8,
  sign: 9,
  softplus: 10,
  sqrt: 11,
  square: 12,
  tanh: 13,
};

export const binaryCodes: Readonly<Record<BinaryOp, number>> = {
  add: 0,
  div: 1,
  max: 2,
  min: 3,
  mul: 4,
  reluGrad: 5,
  sigmoidGrad: 6,
  sub: 7,
  tanhGrad: 8,
};

export const reduceCodes: Readonly<Record<ReduceOp, number>> = { sum: 0, sumSquares: 1, max: 2 };
