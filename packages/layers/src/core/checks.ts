/** Checks that layers share, of options and of shapes. */
import { formatShape, type Shape, ShapeError, ValueError } from '@invnet/tensor';
import { largestSize } from '../tree/construction.ts';

/** The shape itself. @throws ShapeError unless it is [N, channels, ...] with up to three spatial axes. */
export function requireChannels(op: string, shape: Shape, channels: number): Shape {
  if (shape.length < 2 || shape.length > 5) {
    throw new ShapeError(
      `${op}: got ${formatShape(shape)}; expected rank 2 to 5: [N, C], [N, C, W], [N, C, H, W] ` +
        'or [N, C, D, H, W].',
    );
  }
  if (shape[1] !== channels) {
    throw new ShapeError(
      `${op}: got ${formatShape(shape)} with ${shape[1]} channels; expected ${channels}.`,
    );
  }
  return shape;
}

/** @throws ValueError unless the value is a whole number of at least `least`. */
export function requireWhole(op: string, name: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value > largestSize()) {
    throw new ValueError(`${op}: ${name} is ${value}; expected at most ${largestSize()} here.`);
  }
  if (Number.isSafeInteger(value) && value >= least) return;
  throw new ValueError(
    `${op}: ${name} is ${format(value)}; expected a whole number of at least ${least}.`,
  );
}

/** As `requireWhole`, for several options by name. */
export function requireSizes(op: string, sizes: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(sizes)) requireWhole(op, name, value, 1);
}

/** @throws ValueError unless the value is true or false. */
export function requireBoolean(op: string, name: string, value: boolean): void {
  if (typeof value === 'boolean') return;
  throw new ValueError(`${op}: ${name} is ${format(value)}; expected true or false.`);
}

/** @throws ValueError unless the value is a finite number above `low` and below `high`. */
export function requireBetween(
  op: string,
  name: string,
  value: number,
  low = Number.NEGATIVE_INFINITY,
  high = Number.POSITIVE_INFINITY,
): void {
  if (typeof value === 'number' && value > low && value < high) return;
  const bounds = [
    ...(Number.isFinite(low) ? [` above ${low}`] : []),
    ...(Number.isFinite(high) ? [` below ${high}`] : []),
  ];
  throw new ValueError(
    `${op}: ${name} is ${format(value)}; expected a finite number${bounds.join(' and')}.`,
  );
}

/** A value that may be anything, where a configuration was written by hand. */
function format(value: unknown): string {
  return typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? String(value));
}
