/**
 * Checks that layers share, of options and of shapes: those of `@invnet/tensor`, with the limits of
 * what is being built.
 */
import {
  formatShape,
  formatValue,
  type RandomStream,
  requireList,
  requireOptions,
  requireStream,
  requireWhole as requireWholeNumber,
  type Shape,
  ShapeError,
  ValueError,
} from '@invnet/tensor';
import { largestSize } from '../tree/construction.ts';

/** How many steps, blocks or iterations one network may have: far more than any use, but a number that ends. */
const MOST_REPEATS = 2 ** 12;

/** The largest kernel size along an axis. */
const MOST_KERNEL = 2 ** 12;

/**
 * Checks the options that a module is made of: a record that has no other names than these, beside a
 * `random` to draw weights from, which whoever builds from a file passes to all.
 *
 * @throws ValueError with the list of names.
 */
export function requireModuleOptions(op: string, options: object, names: readonly string[]): void {
  requireOptions(op, options, [...new Set([...names, 'random'])]);
  const { random } = options as { readonly random?: RandomStream };
  if (random !== undefined) requireStream(op, random);
}

/** The shape itself. @throws ShapeError unless it is [N, channels, ...] with up to three spatial axes. */
export function requireChannels(op: string, shape: Shape, channels: number): Shape {
  requireList(op, 'the shape', shape);
  if (shape.length < 2 || shape.length > 5) {
    throw new ShapeError(
      `${op}: got ${formatShape(shape)}; expected rank 2 to 5: [N, C], [N, C, W], [N, C, H, W] ` +
        'or [N, C, D, H, W].',
    );
  }
  if (shape[1] !== channels) {
    throw new ShapeError(
      `${op}: got ${formatShape(shape)} with ${formatValue(shape[1])} channels; expected ${channels}.`,
    );
  }
  return shape;
}

/** As that of tensors, for a size: not beyond what is being built may have. */
export function requireWhole(
  op: string,
  name: string,
  value: number,
  least: number,
  most?: number,
): void {
  if (Number.isSafeInteger(value) && value > largestSize()) {
    throw new ValueError(`${op}: ${name} is ${value}; expected at most ${largestSize()} here.`);
  }
  requireWholeNumber(op, name, value, least, most);
}

/** As `requireWhole`, for several options by name. */
export function requireSizes(op: string, sizes: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(sizes)) requireWhole(op, name, value, 1);
}

/** @throws ValueError unless the value is a number of steps, blocks or iterations. */
export function requireRepeats(op: string, name: string, value: number): void {
  requireWhole(op, name, value, 1, MOST_REPEATS);
}

/** @throws ValueError unless the value is a number of spatial axes, from `least` to 3. */
export function requireDimensions(op: string, ndims: number, least: 0 | 1): void {
  requireWhole(op, 'ndims', ndims, least, 3);
}

/** @throws ValueError unless the value is a kernel size, or a stride. */
export function requireKernel(op: string, name: string, kernel: number): void {
  requireWhole(op, name, kernel, 1, MOST_KERNEL);
}

/** As `requireKernel`, of an odd size. */
export function requireOddKernel(op: string, name: string, kernel: number): void {
  requireKernel(op, name, kernel);
  if (kernel % 2 === 1) return;
  throw new ValueError(
    `${op}: ${name} is ${kernel}; expected an odd size, which keeps the resolution.`,
  );
}

/** @throws ValueError unless the values are the sizes of up to three axes. */
export function requireSpatialSizes(op: string, name: string, sizes: Shape): void {
  requireList(op, name, sizes);
  if (sizes.length > 3) {
    throw new ValueError(
      `${op}: ${name} is ${formatShape(sizes)}; expected a list of at most three axes.`,
    );
  }
  for (const s of sizes) requireWhole(op, name, s, 1);
}

/** @throws ValueError unless the value is a pair of numbers of channels. */
export function requireChannelPair(
  op: string,
  name: string,
  channels: readonly [number, number],
): void {
  requireList(op, name, channels, 'two numbers of channels');
  if (channels.length !== 2) {
    throw new ValueError(
      `${op}: ${name} is ${formatValue(channels)}; expected two numbers of channels.`,
    );
  }
  for (const c of channels) requireWhole(op, name, c, 1);
}

/** @throws ValueError unless the list has each number from 0 to size − 1 once. */
export function requirePermutation(
  op: string,
  name: string,
  order: readonly number[],
  size: number,
  expected = 'numbers',
): void {
  requireList(op, name, order, `a list of ${expected}`);
  if (order.length !== size) {
    throw new ValueError(`${op}: ${name} has ${order.length} entries; expected ${size}.`);
  }
  const seen = new Set<number>();
  for (const [i, entry] of order.entries()) {
    const known = Number.isInteger(entry) && entry >= 0 && entry < size && !seen.has(entry);
    if (!known) {
      throw new ValueError(
        `${op}: ${name}[${i}] is ${formatValue(entry)}; expected each number from 0 to ` +
          `${size - 1} once.`,
      );
    }
    seen.add(entry);
  }
}

/** @throws ValueError unless the list has at least one number from 0 to size − 1, and none twice. */
export function requireIndices(
  op: string,
  name: string,
  indices: readonly number[],
  size: number,
): void {
  requireList(op, name, indices, 'a list of channels');
  if (indices.length === 0) {
    throw new ValueError(`${op}: ${name} is empty; expected at least one channel.`);
  }
  const seen = new Set<number>();
  for (const [i, entry] of indices.entries()) {
    if (Number.isInteger(entry) && entry >= 0 && entry < size && !seen.has(entry)) {
      seen.add(entry);
      continue;
    }
    throw new ValueError(
      `${op}: ${name}[${i}] is ${formatValue(entry)}; expected numbers from 0 to ${size - 1}, none twice.`,
    );
  }
}
