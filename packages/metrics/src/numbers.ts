/** What metrics check of the numbers that they are given. */
import { formatValue, requireList, ShapeError, ValueError } from '@invnet/tensor';

/** @throws ValueError unless it is an array, plain or typed, of at least one finite number and no other. */
export function requireNumbers(op: string, name: string, values: ArrayLike<number>): void {
  const typed = ArrayBuffer.isView(values) && !(values instanceof DataView);
  if (!typed) requireList(op, name, values as readonly unknown[], 'an array of numbers');
  if (values.length === 0) throw new ValueError(`${op}: ${name} is empty; expected numbers.`);
  for (let i = 0; i < values.length; i++) {
    if (Number.isFinite(values[i])) continue;
    throw new ValueError(
      `${op}: ${name} holds ${formatValue(values[i])}, as number ${i} of ${values.length}; expected finite ` +
        'numbers.',
    );
  }
}

/** Checks two arrays that are compared number by number. @throws ValueError @throws ShapeError */
export function requireAlike(
  op: string,
  [name, values]: readonly [string, ArrayLike<number>],
  [otherName, others]: readonly [string, ArrayLike<number>],
): void {
  requireNumbers(op, name, values);
  requireNumbers(op, otherName, others);
  if (values.length === others.length) return;
  throw new ShapeError(
    `${op}: ${name} has ${values.length} numbers and ${otherName} ${others.length}; expected as many.`,
  );
}
