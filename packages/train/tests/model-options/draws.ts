/** What the options of several rooms are drawn from. */
import type { Json } from '@invnet/layers';
import fc, { type Arbitrary } from 'fast-check';

/** What the constructor of each type takes, given or left out. */
export type Options = Readonly<Record<string, Arbitrary<Json>>>;

export const size = fc.integer({ min: 1, max: 4 });
/** Enough to be parted. */
export const several = fc.integer({ min: 2, max: 5 });
/** Spatial axes. */
export const axes = fc.integer({ min: 1, max: 3 });
/** Side of a kernel. */
export const kernel = fc.constantFrom(1, 3);
/** A positive number. */
export const bound = fc.double({ min: 0.1, max: 2, noNaN: true });
/** Channels of two parts. */
export const two = fc.tuple(size, size);
/** Sizes of spatial axes. */
export const shape = fc.array(size, { minLength: 1, maxLength: 3 });

/** Given or left out. */
export const some = <T>(value: Arbitrary<T>) => fc.option(value, { nil: undefined });

/** A module or an activation, as a configuration has it. */
export const config = ($type: string, options: Record<string, Arbitrary<unknown>> = {}) =>
  fc.record(options).map((o): Json => {
    const given = Object.fromEntries(Object.entries(o).filter(([, v]) => v !== undefined));
    return { $type, ...given } as Json;
  });

/** Of each activation. */
export const activation = {
  relu: config('relu'),
  tanh: config('tanh'),
  sigmoid2: config('sigmoid2'),
  leakyRelu: config('leakyRelu', { slope: bound }),
  softplus: config('softplus', { low: bound }),
  sigmoid: fc
    .tuple(bound, bound)
    .map(([low, width]): Json => ({ $type: 'sigmoid', low, high: low + width })),
  exp: config('exp', { low: some(bound) }),
  expClamp: config('expClamp', { clamp: bound, rate: some(bound) }),
  atanClamp: config('atanClamp', { clamp: some(bound), rate: some(bound) }),
  softsignClamp: config('softsignClamp', { clamp: some(bound) }),
  shiftedSigmoid: config('shiftedSigmoid', { shift: some(bound) }),
  softplusScale: config('softplusScale', { factor: some(bound), rate: some(bound) }),
  elu: config('elu', { alpha: some(bound) }),
  gelu: config('gelu'),
  silu: config('silu'),
} satisfies Record<string, Arbitrary<Json>>;

const clamped = config('expClamp', { clamp: bound });
/** Scale functions that each coupling takes. */
export const scale = fc.oneof(activation.sigmoid, clamped, activation.softplus);
/** Scale functions that are exponentials. */
export const exponential = fc.oneof(activation.exp, activation.expClamp, activation.atanClamp);

export const blocks = { inChannels: size, hidden: size, outChannels: size };

export const conditioner: Arbitrary<Json> = fc.oneof(
  config('DenseBlock', blocks),
  config('ResidualBlock', { ...blocks, ndims: some(axes), kernel1: some(kernel) }),
);

export const norm = config('ActNorm', { channels: size });

export const squeeze = fc.oneof(
  config('ShuffleSqueeze', { pattern: fc.constantFrom('column', 'patch', 'checkerboard') }),
  config('HaarSqueeze'),
  config('WaveletSqueeze', { wavelet: fc.constantFrom('db2', 'sym4', 'coif1') }),
);

export const bijection = fc.oneof(
  norm,
  squeeze,
  config('Conv1x1', { channels: size }),
  config('Identity'),
);

/** A map of pairs. */
export const additive = config('AdditiveCoupling', { conditioner });

export const spline = config('RationalQuadraticSpline', {
  bins: some(several),
  bound: some(bound),
  tails: some(fc.constantFrom('identity', 'circular')),
  minWidth: some(fc.constantFrom(1e-3, 1e-2)),
  softClamp: some(bound),
});
export const transformer = fc.oneof(
  config('AffineTransformer', { scaleFunction: some(scale) }),
  config('AdditiveTransformer'),
  spline,
);

/** Options of affine couplings. */
export const affine = {
  hidden: some(size),
  ndims: some(fc.integer({ min: 0, max: 3 })),
  scaleFunction: some(scale),
};
/** Options of HINT couplings. */
export const hint = { ...affine, shared: some(fc.constant(false)) };
