/** Element-wise kernels: unary, binary with broadcasting, fill, in-place updates as new results. */
import type { BinaryOp, Broadcast, UnaryOp } from '../../backend.ts';
import { eachLane, index, type KernelSource, position, strided } from '../source.ts';

/**
 * Expressions in v, alpha and beta. The devices' own tanh, log and exp promise a small absolute
 * error only; where the result is small, series keep the relative one small as well.
 */
const unaryExpressions: Readonly<Record<UnaryOp, (v: string) => string>> = {
  abs: (v) => `Math.abs(${v})`,
  affine: (v) => `alpha * ${v} + beta`,
  exp: (v) => `Math.exp(${v})`,
  leakyRelu: (v) => `(${v} > 0 ? ${v} : alpha * ${v})`,
  log: (v) => `Math.log(${v})`,
  neg: (v) => `0 - ${v}`,
  // beta is the sign of a negative base's power: 1 or −1 for whole exponents.
  power: (v) => `(${v} < 0 ? beta * Math.pow(0 - ${v}, alpha) : Math.pow(${v}, alpha))`,
  reciprocal: (v) => `1 / ${v}`,
  relu: (v) => `Math.max(${v}, 0)`,
  sigmoid: (v) => `1 / (1 + Math.exp(0 - ${v}))`,
  sign: (v) => `Math.sign(${v})`,
  // log(1 + e) for e = exp(−|v|), by its series where e is small.
  softplus: (v) =>
    `Math.max(${v}, 0) + (${v} > 3 || ${v} < 0 - 3 ? ${log1pSeries(`Math.exp(0 - Math.abs(${v}))`)} : ` +
    `Math.log(1 + Math.exp(0 - Math.abs(${v}))))`,
  sqrt: (v) => `Math.sqrt(${v})`,
  square: (v) => `${v} * ${v}`,
  tanh: (v) =>
    `(Math.abs(${v}) < 0.3 ? ${tanhSeries(v)} : ` +
    `Math.sign(${v}) * (1 - 2 / (1 + Math.exp(2 * Math.abs(${v})))))`,
};

/** e − e²/2 + e³/3 − e⁴/4 + e⁵/5; for e below 0.05 the rest is below 6e-8 of it. */
function log1pSeries(e: string): string {
  return `${e} * (1 - ${e} * (0.5 - ${e} * (0.33333333 - ${e} * (0.25 - ${e} * 0.2))))`;
}

/** v − v³/3 + 2v⁵/15 − 17v⁷/315 + 62v⁹/2835; for |v| below 0.3 the rest is below 6e-8 of it. */
function tanhSeries(v: string): string {
  const s = `${v} * ${v}`;
  return (
    `${v} * (1 - ${s} * (0.33333333 - ${s} * (0.13333333 - ${s} * (0.053968254 - ` +
    `${s} * 0.021869489))))`
  );
}

const binaryExpressions: Readonly<Record<BinaryOp, (a: string, b: string) => string>> = {
  add: (a, b) => `${a} + ${b}`,
  div: (a, b) => `${a} / ${b}`,
  max: (a, b) => `Math.max(${a}, ${b})`,
  min: (a, b) => `Math.min(${a}, ${b})`,
  mul: (a, b) => `${a} * ${b}`,
  reluGrad: (a, b) => `(${a} > 0 ? ${b} : 0)`,
  sigmoidGrad: (a, b) => `${b} * ${a} * (1 - ${a})`,
  sub: (a, b) => `${a} - ${b}`,
  tanhGrad: (a, b) => `${b} * (1 - ${a} * ${a})`,
};

export function unarySource(op: UnaryOp, size: number): KernelSource {
  return {
    op,
    key: `${op}:${size}`,
    arrays: ['x'],
    scalars: ['alpha', 'beta'],
    size,
    write: () => ({
      functions: [],
      body: eachLane(
        (lane) => unaryExpressions[op](`v${lane}`),
        (lane) => `const v${lane} = x[${position(lane)}];`,
      ),
    }),
  };
}

/** alpha and beta as the kernel of this function wants them. */
export function unaryScalars(op: UnaryOp, alpha: number, beta: number): readonly number[] {
  if (op !== 'power') return [alpha, beta];
  const parity = Number.isInteger(alpha) ? (alpha % 2 === 0 ? 1 : -1) : Number.NaN;
  return [alpha, parity];
}

export function binarySource(op: BinaryOp, how: Broadcast): KernelSource {
  const { sizes, aStrides, bStrides } = how;
  const size = sizes.reduce((a, b) => a * b, 1);
  return {
    op,
    key: `${op}:${sizes}:${aStrides}:${bStrides}`,
    arrays: ['a', 'b'],
    scalars: [],
    size,
    write: () => ({
      functions: [
        index('aAt', ['i'], strided('i', sizes, aStrides)),
        index('bAt', ['i'], strided('i', sizes, bStrides)),
      ],
      body: eachLane(
        (lane) => binaryExpressions[op](`a${lane}`, `b${lane}`),
        (lane) =>
          `const a${lane} = a[aAt(${position(lane)})]; const b${lane} = b[bAt(${position(lane)})];`,
      ),
    }),
  };
}

export function fillSource(size: number): KernelSource {
  return {
    op: 'fill',
    key: `fill:${size}`,
    arrays: [],
    scalars: ['value'],
    size,
    write: () => ({
      functions: [],
      body: 'return [value, value, value, value];',
    }),
  };
}

/** An element-wise expression of same-sized arrays, for updates of one in terms of the others. */
function updateSource(
  op: string,
  size: number,
  arrays: readonly string[],
  scalars: readonly string[],
  expression: (at: (array: string) => string) => string,
): KernelSource {
  return {
    op,
    key: `${op}:${size}`,
    arrays,
    scalars,
    size,
    write: () => ({
      functions: [],
      body: eachLane(
        (lane) => expression((array) => `${array}${lane}`),
        (lane) =>
          arrays.map((array) => `const ${array}${lane} = ${array}[${position(lane)}];`).join(' '),
      ),
    }),
  };
}

/** target + alpha·x */
export function accumulateSource(size: number): KernelSource {
  return updateSource(
    'accumulate',
    size,
    ['target', 'x'],
    ['alpha'],
    (at) => `${at('target')} + alpha * ${at('x')}`,
  );
}

/** decay·m + gain·g */
export function firstMomentSource(size: number): KernelSource {
  return updateSource(
    'adam: first moment',
    size,
    ['m', 'g'],
    ['decay', 'gain'],
    (at) => `decay * ${at('m')} + gain * ${at('g')}`,
  );
}

/** decay·v + gain·(scale·g)² */
export function secondMomentSource(size: number): KernelSource {
  return updateSource(
    'adam: second moment',
    size,
    ['v', 'g'],
    ['decay', 'gain', 'scale'],
    (at) => `decay * ${at('v')} + gain * (scale * ${at('g')}) * (scale * ${at('g')})`,
  );
}

/** left·target − rate·m / (√(v·correction) + epsilon) */
export function adamStepSource(size: number): KernelSource {
  return updateSource(
    'adam',
    size,
    ['target', 'm', 'v'],
    ['rate', 'correction', 'epsilon', 'left'],
    (at) =>
      `left * ${at('target')} - rate * ${at('m')} / (Math.sqrt(${at('v')} * correction) + epsilon)`,
  );
}
