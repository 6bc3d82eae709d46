/** Tensors, backends, memory accounting and random numbers of InvNet. */
export type {
  AdamSettings,
  AdamUpdate,
  ArrayOf,
  Backend,
  BackendInfo,
  BinaryOp,
  Broadcast,
  ChannelGeometry,
  ConvActivation,
  ConvGeometry,
  CouplingGeometry,
  DType,
  FusedPasses,
  MatmulGeometry,
  NumericArray,
  ReduceOp,
  Reduction,
  Shape,
  Storage,
  Triple,
  Triplet,
  UnaryOp,
} from './backend.ts';
export {
  requireAtLeast,
  requireBetween,
  requireBoolean,
  requireBytes,
  requireFinite,
  requireFunction,
  requireList,
  requireOneOf,
  requireOptions,
  requireRecord,
  requireSynchronous,
  requireWhole,
} from './checks.ts';
export type { BackendFactory, BackendNames, BackendOptions, Placement } from './engine.ts';
export {
  backendInfo,
  currentPlacement,
  getBackend,
  memory,
  registerBackend,
  resetPeakMemory,
  setBackend,
  withBackend,
} from './engine.ts';
export {
  BackendError,
  DeviceLostError,
  DisposedError,
  DTypeError,
  formatShape,
  formatValue,
  InvNetError,
  OutOfMemoryError,
  ShapeError,
  ValueError,
} from './errors.ts';
export { nextAbove, nextBelow, roundTo } from './floats.ts';
export { withNumbers } from './in-place.ts';
export type { MemoryInfo } from './memory.ts';
export { MemoryAccount } from './memory.ts';
export type { AdamTensors } from './ops/elementwise.ts';
export {
  abs,
  accumulate,
  adamUpdate,
  add,
  affine,
  assign,
  clone,
  div,
  exp,
  leakyRelu,
  log,
  maximum,
  minimum,
  mul,
  neg,
  power,
  reciprocal,
  relu,
  reluGrad,
  requireSameShape,
  sigmoid,
  sigmoidGrad,
  sign,
  softplus,
  sqrt,
  square,
  sub,
  tanh,
  tanhGrad,
} from './ops/elementwise.ts';
export type {
  FusedChannelAffine,
  FusedCoupling,
  FusedReflections,
  LogisticScale,
} from './ops/fused.ts';
export {
  addToFirstChannels,
  fusedChannelAffine,
  fusedCoupling,
  fusedReflections,
  hasFusedPasses,
} from './ops/fused.ts';
export { concat, permute, slice, split } from './ops/layout.ts';
export type { LeapfrogOptions, LeapfrogSeries } from './ops/leapfrog.ts';
export { laplacianWeights, leapfrog, requireLeapfrog } from './ops/leapfrog.ts';
export type {
  ConvEpilogue,
  ConvInputGradEpilogue,
  ConvOptions,
  MatmulOptions,
} from './ops/linear.ts';
export { conv, convFilterGrad, convInputGrad, matmul } from './ops/linear.ts';
export { innerProduct, norm } from './ops/norm.ts';
export type { ReduceOptions } from './ops/reduce.ts';
export { max, mean, sum, sumPerChannel, sumPerSample, sumSquares } from './ops/reduce.ts';
export type { FusedSpline, SplineForm } from './ops/spline.ts';
export { fusedSpline } from './ops/spline.ts';
export type { RandomState } from './random.ts';
export { RandomStream, requireStream } from './random.ts';
export { ReferenceBackend, type ReferenceOptions } from './reference/backend.ts';
export type { NestedNumbers, TypedNumbers } from './tensor.ts';
export {
  checkShape,
  full,
  ones,
  requireTensor,
  sizeOf,
  Tensor,
  tensor,
  zeros,
  zerosLike,
} from './tensor.ts';
export { collectTensors, isTemporary, keep, tidy } from './tidy.ts';
export type { WasmOptions } from './wasm/backend.ts';
export { WasmBackend } from './wasm/backend.ts';
export { type NativeKernels, openNativeKernels } from './wasm/native.ts';
