/**
 * What public functions check of their arguments, in one place for all packages: each check says what
 * came, and what was expected.
 *
 * Left out: tensors as operands (ops/operands.ts) and shapes (tensor.ts).
 */
import { formatValue, ValueError } from './errors.ts';

/** @throws ValueError unless the value is a whole number from `least` to `most`. */
export function requireWhole(
  op: string,
  name: string,
  value: number,
  least: number,
  most = Number.MAX_SAFE_INTEGER,
): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return;
  const range =
    most < Number.MAX_SAFE_INTEGER ? `from ${least} to ${most}` : `of at least ${least}`;
  fail(op, name, value, `a whole number ${range}`);
}

/** @throws ValueError unless the value is a finite number. */
export function requireFinite(op: string, name: string, value: number): void {
  if (Number.isFinite(value)) return;
  fail(op, name, value, 'a finite number');
}

/** @throws ValueError unless the value is a finite number of at least `least`. */
export function requireAtLeast(op: string, name: string, value: number, least: number): void {
  if (Number.isFinite(value) && value >= least) return;
  fail(op, name, value, `a finite number of at least ${least}`);
}

/** @throws ValueError unless the value is a finite number above `low` and below `high`. */
export function requireBetween(
  op: string,
  name: string,
  value: number,
  low = Number.NEGATIVE_INFINITY,
  high = Number.POSITIVE_INFINITY,
): void {
  if (Number.isFinite(value) && value > low && value < high) return;
  const bounds = [
    ...(Number.isFinite(low) ? [` above ${low}`] : []),
    ...(Number.isFinite(high) ? [` below ${high}`] : []),
  ];
  fail(op, name, value, `a finite number${bounds.join(' and')}`);
}

/** @throws ValueError unless the value is true or false. */
export function requireBoolean(op: string, name: string, value: boolean): void {
  if (typeof value === 'boolean') return;
  fail(op, name, value, 'true or false');
}

/** @throws ValueError unless the value is a function. */
export function requireFunction(
  op: string,
  name: string,
  value: unknown,
  expected = 'a function',
): void {
  if (typeof value === 'function') return;
  fail(op, name, value, expected);
}

/** @throws ValueError for what a function returned that comes later: a promise, or what is awaited as one. */
export function requireSynchronous(op: string, result: unknown): void {
  if (!isThenable(result)) return;
  throw new ValueError(`${op}: the function returned a promise; expected a synchronous one.`);
}

/** @throws ValueError unless the value is one of the choices, which the message lists. */
export function requireOneOf<T extends string>(
  op: string,
  name: string,
  value: string,
  choices: readonly T[],
): asserts value is T {
  if (choices.some((choice) => choice === value)) return;
  fail(op, name, value, `one of ${choices.map(formatValue).join(', ')}`);
}

/** @throws ValueError unless the value is an array, without holes. */
export function requireList(
  op: string,
  name: string,
  value: readonly unknown[],
  expected = 'a list',
): void {
  if (isList(value)) return;
  fail(op, name, value, expected);
}

/** Is it an array, without holes? */
export function isList(value: unknown): boolean {
  return Array.isArray(value) && !value.includes(undefined);
}

/** @throws ValueError unless the value is an array of bytes: a Uint8Array, a Buffer, or pixels of a canvas. */
export function requireBytes(
  op: string,
  name: string,
  value: Uint8Array | Uint8ClampedArray,
): void {
  if (value instanceof Uint8Array || value instanceof Uint8ClampedArray) return;
  fail(op, name, value, 'a Uint8Array');
}

/**
 * Checks an options object: a record that has no other names than these.
 *
 * @throws ValueError with the list of names.
 * @example requireOptions('conv', options, ['stride', 'padding']);
 */
export function requireOptions(op: string, options: unknown, names: readonly string[]): void {
  const expected = `{ ${names.join(', ')} }`;
  requireRecord(op, 'options', options, expected);
  for (const name in options) {
    if (names.includes(name)) continue;
    // What was meant as an option itself, as in new Flow(network).
    if (formatValue(options) !== 'an object') fail(op, 'options', options, expected);
    throw new ValueError(
      `${op}: there is no option '${name}'; expected one of ${names.map(formatValue).join(', ')}.`,
    );
  }
}

/** @throws ValueError unless the value is an object of named fields. */
export function requireRecord(
  op: string,
  name: string,
  value: unknown,
  expected = 'an object of named fields',
): asserts value is object {
  // Neither lists nor Maps, whose entries are no fields.
  if (typeof value === 'object' && value !== null && !(Symbol.iterator in value)) return;
  fail(op, name, value, expected);
}

function fail(op: string, name: string, value: unknown, expected: string): never {
  throw new ValueError(`${op}: ${name} is ${formatValue(value)}; expected ${expected}.`);
}

function isThenable(value: unknown): boolean {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false;
  try {
    return 'then' in value && typeof value.then === 'function';
  } catch {
    return false;
  }
}
