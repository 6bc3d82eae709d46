/**
 * How far the wasm backend's elementary functions are from the exactly rounded result, over the
 * whole range of float32 and in both builds. A sweep of all 2³² floats found the same bounds.
 */
import { describe, expect, it } from 'vitest';
import {
  exp,
  log,
  power,
  setBackend,
  sigmoid,
  softplus,
  type Tensor,
  tanh,
  tensor,
  WasmBackend,
} from '../src/index.ts';
import { supportsRelaxedSimd } from '../src/wasm/kernels.ts';

/** Between floats of the sweep; a prime, so that it meets every exponent and ever new mantissas. */
const STRIDE = 997;
/** Floats to either side of a boundary that are tried one by one. */
const NEAR = 1000;

/** Where the result overflows, becomes subnormal and becomes zero. */
const [OVERFLOW, SUBNORMAL, ZERO] = [128, -126, -150].map((n) => n * Math.LN2) as [
  number,
  number,
  number,
];
/** Where 1 + e⁻ˣ rounds to 1. */
const SATURATED = 24 * Math.LN2;

interface Case {
  readonly name: string;
  readonly run: (x: Tensor) => Tensor;
  /** In double, without cancellation. */
  readonly exact: (x: number) => number;
  /** Where the result leaves a range, or the computation changes its way; 0, ∞ and NaN besides. */
  readonly boundaries: readonly number[];
  /** Largest difference from the rounded exact result, in its units in the last place. */
  readonly ulps: number;
}

const cases: Case[] = [
  {
    name: 'exp',
    run: exp,
    exact: Math.exp,
    boundaries: [OVERFLOW, SUBNORMAL, ZERO, 89, -105],
    ulps: 1,
  },
  {
    name: 'sigmoid',
    run: sigmoid,
    exact: (x) => (x < 0 ? Math.exp(x) / (1 + Math.exp(x)) : 1 / (1 + Math.exp(-x))),
    boundaries: [SATURATED, -SATURATED, SUBNORMAL, ZERO, -105, OVERFLOW, -ZERO],
    ulps: 2,
  },
  {
    name: 'softplus',
    run: softplus,
    exact: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
    boundaries: [SATURATED, -SATURATED, SUBNORMAL, ZERO, -105, OVERFLOW, -ZERO],
    ulps: 2,
  },
  {
    name: 'tanh',
    run: tanh,
    exact: Math.tanh,
    boundaries: [0.625, SATURATED / 2, OVERFLOW / 2].flatMap((x) => [x, -x]),
    ulps: 1,
  },
  {
    name: 'log',
    run: log,
    exact: Math.log,
    boundaries: [2 ** -126, Math.SQRT1_2, 1, Math.SQRT2],
    ulps: 1,
  },
  ...[-3, -0.5, 0, 1 / 3, 7, 1e5, 2 ** 53].map((exponent) => ({
    name: `power ${exponent}`,
    run: (x: Tensor) => power(x, exponent),
    exact: (x: number) => x ** exponent,
    boundaries: [OVERFLOW, SUBNORMAL, ZERO]
      .map((y) => Math.exp(y / exponent))
      .concat(1, Math.SQRT2)
      .flatMap((x) => [x, -x]),
    ulps: 1,
  })),
];

/** A float's bits. */
function bitsOf(x: number): number {
  return new Uint32Array(Float32Array.of(x).buffer)[0]!;
}

/** Every STRIDE-th float, and all that are near a boundary, 0, ∞ and the first NaN among them. */
function inputs(boundaries: readonly number[]): Float32Array {
  const centres = [0, -0, Infinity, -Infinity, ...boundaries].map(bitsOf);
  const swept = Math.ceil(2 ** 32 / STRIDE);
  const bits = new Uint32Array(swept + centres.length * (2 * NEAR + 1));
  let n = 0;
  while (n < swept) bits[n] = STRIDE * n++;
  // Below the bits of 0 lie NaN of negative sign, which is as good.
  for (const centre of centres) for (let i = -NEAR; i <= NEAR; i++) bits[n++] = centre + i;
  return new Float32Array(bits.buffer);
}

/** The unit in the last place of a finite float, given by its bits: subnormals have that of 2⁻¹²⁶. */
function ulp(bits: number): number {
  return 2 ** (Math.max((bits >>> 23) & 255, 1) - 150);
}

/** The largest error in ulps, and where; NaN, infinities and a sign must be right. */
function worst(xs: Float32Array, ys: Float32Array, exact: Case['exact']) {
  const rounded = new Float32Array(1);
  const bits = new Uint32Array(rounded.buffer);
  let [ulps, at] = [0, 0];
  for (let i = 0; i < xs.length; i++) {
    rounded[0] = exact(xs[i]!);
    const [expected, got] = [rounded[0]!, ys[i]!];
    if (Object.is(expected, got)) continue;
    const error = Math.abs(got - expected) / ulp(bits[0]!);
    // What compares with nothing is a NaN on one side, or infinities of two signs.
    if (!(error <= ulps)) [ulps, at] = [Number.isNaN(error) ? Infinity : error, xs[i]!];
    else if (error === 0) [ulps, at] = [Infinity, xs[i]!];
  }
  return { ulps, at };
}

const builds = [
  { label: 'simd128', relaxedSimd: false },
  ...(supportsRelaxedSimd() ? [{ label: 'relaxed-simd', relaxedSimd: true }] : []),
];

describe.each(builds)('on wasm $label', ({ relaxedSimd }) => {
  it.each(cases)('$name is within $ulps ulp', async ({ run, exact, boundaries, ulps }) => {
    await setBackend(new WasmBackend({ relaxedSimd }));
    const data = inputs(boundaries);
    using x = tensor(data);
    using y = run(x);
    const found = worst(data, y.dataSync() as Float32Array, exact);
    expect(found.ulps, `at ${found.at}`).toBeLessThanOrEqual(ulps);
  });
});
