/**
 * Sources of gpu.js kernels, as text: gpu.js reads kernels with `toString()`, and text is what no
 * bundler or minifier changes.
 *
 * Every kernel has one form: an invocation makes four numbers that lie side by side, and returns
 * them as an Array(4). gpu.js keeps local variables as floats, exact to 2²⁴, so coordinates may be
 * locals, while flat indices are computed only inside functions from integers to an integer.
 */

/** A kernel before it is compiled; `key` is equal for equal kernels. */
export interface KernelSource {
  readonly op: string;
  readonly key: string;
  /** Names of the array arguments, then of the numbers. */
  readonly arrays: readonly string[];
  readonly scalars: readonly string[];
  /** Numbers in the result. */
  readonly size: number;
  /** Writes the kernel; asked once, when it is compiled. */
  readonly write: () => KernelBody;
}

/** What a kernel does. */
export interface KernelBody {
  readonly functions: readonly IndexFunction[];
  /** Statements that end in `return [a, b, c, d];`. */
  readonly body: string;
}

/** A function from integers to an integer: `value` is an expression in `parameters`. */
export interface IndexFunction {
  readonly name: string;
  readonly parameters: readonly string[];
  readonly body: string;
}

export const lanes = [0, 1, 2, 3] as const;

/** Position in the result of a lane of this invocation. */
export function position(lane: number): string {
  return `this.thread.x * 4 + ${lane}`;
}

/** Source of a kernel that returns `value(lane)`, after the statements of all lanes. */
export function eachLane(
  value: (lane: number) => string,
  statements: (lane: number) => string = () => '',
): string {
  return `${lanes.map(statements).join('\n')}\nreturn [${lanes.map(value).join(', ')}];`;
}

/** The function `name(i) = value`. */
export function index(name: string, parameters: readonly string[], value: string): IndexFunction {
  return { name, parameters, body: `return ${value};` };
}

/**
 * What `quotient` is made of: i − q·d, and q + e corrected by one.
 *
 * They call no other function: gpu.js puts functions in an order that compiles only then.
 */
export const division: readonly IndexFunction[] = [
  index('rest', ['i', 'd', 'q'], 'i - q * d'),
  {
    name: 'settle',
    parameters: ['i', 'd', 'q', 'e'],
    body:
      'if (i - (q + e) * d < 0) { return q + e - 1; } ' +
      'if (i - (q + e) * d >= d) { return q + e + 1; } return q + e;',
  },
];

/**
 * ⌊i/d⌋ for 0 ≤ i < size ≤ 2³¹. gpu.js has no division of integers, and neither WGSL nor GLSL
 * promises an exact one of floats: an estimate, an estimate of its remainder's quotient where the
 * first may be off by more than one, and a correction.
 */
function quotient(i: string, d: number, size: number): string {
  if (d === 1) return i;
  const estimate = `${i} / ${d}`;
  const correction = size / d < 2 ** 21 ? '0' : `rest(${i}, ${d}, ${estimate}) / ${d}`;
  return `settle(${i}, ${d}, ${estimate}, ${correction})`;
}

/** Coordinate along an axis of the element at `i` of a row-major array. */
export function coordinate(i: string, sizes: readonly number[], axis: number): string {
  const volume = sizes.reduce((a, b) => a * b, 1);
  const inner = sizes.slice(axis + 1).reduce((a, b) => a * b, 1);
  const size = sizes[axis]!;
  if (size === 1) return `${i} * 0`;
  const whole = quotient(i, inner, volume);
  return inner * size === volume
    ? whole
    : `(${whole} - ${quotient(i, inner * size, volume)} * ${size})`;
}

/** Σ coordinate·stride of the element at `i`, for sizes outermost first. */
export function strided(
  i: string,
  sizes: readonly number[],
  strides: readonly number[],
  start = 0,
): string {
  const terms = sizes.flatMap((size, axis) =>
    size === 1 || strides[axis] === 0 ? [] : [`${coordinate(i, sizes, axis)} * ${strides[axis]}`],
  );
  if (start > 0) terms.push(`${start}`);
  return terms.length === 0 ? `${i} * 0` : terms.join(' + ');
}

/** Strides of a row-major array. */
export function rowMajor(sizes: readonly number[]): number[] {
  const strides = new Array<number>(sizes.length).fill(1);
  for (let axis = sizes.length - 2; axis >= 0; axis--) {
    strides[axis] = strides[axis + 1]! * sizes[axis + 1]!;
  }
  return strides;
}
