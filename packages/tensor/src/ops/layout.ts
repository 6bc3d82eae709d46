/** Operations that move numbers without changing them. */
import { isList } from '../checks.ts';
import { formatShape, formatValue, ShapeError } from '../errors.ts';
import { requireTensor, sizeOf, type Tensor } from '../tensor.ts';
import { tidy } from '../tidy.ts';
import { commonBackend, wrap } from './operands.ts';

/** Result axis i is the operand's axis `axes[i]`. @throws ShapeError unless a permutation. */
export function permute(x: Tensor, axes: readonly number[]): Tensor {
  requireTensor('permute', x);
  if (!isList(axes) || axes.length !== x.rank || x.shape.some((_, i) => !axes.includes(i))) {
    throw new ShapeError(
      `permute: ${formatValue(axes)} is not a permutation of the axes of ${formatShape(x.shape)}.`,
    );
  }
  const shape = axes.map((a) => x.shape[a]!);
  const { sizes, order } = mergeAxes(x.shape, axes);
  return wrap(shape, x.backend, x.backend.permute(x.storage, sizes, order));
}

/**
 * `length` entries of an axis, from `start` on.
 *
 * @throws ShapeError unless they are whole numbers within the axis.
 */
export function slice(x: Tensor, axis: number, start: number, length: number): Tensor {
  const size = requireAxis('slice', x, axis);
  const whole = Number.isInteger(start) && Number.isInteger(length);
  if (!whole || start < 0 || length < 1 || start + length > size) {
    throw new ShapeError(
      `slice: ${formatValue(length)} entries from ${formatValue(start)} on are not in axis ${axis} of ` +
        `${formatShape(x.shape)}; expected whole numbers, at least one entry, within 0 to ${size}.`,
    );
  }
  const shape = x.shape.map((s, i) => (i === axis ? length : s));
  const outer = sizeOf(x.shape.slice(0, axis));
  const inner = sizeOf(x.shape.slice(axis + 1));
  return wrap(shape, x.backend, x.backend.slice(x.storage, outer, size, inner, start, length));
}

/** Cuts an axis into parts of the given lengths. @throws ShapeError unless they are whole and add up. */
export function split(x: Tensor, axis: number, lengths: readonly number[]): Tensor[] {
  const size = requireAxis('split', x, axis);
  const whole =
    isList(lengths) && lengths.every((length) => Number.isInteger(length) && length > 0);
  const total = whole ? lengths.reduce((a, b) => a + b, 0) : Number.NaN;
  if (total !== size) {
    throw new ShapeError(
      `split: lengths ${formatValue(lengths)} for axis ${axis} of ${formatShape(x.shape)}; expected ` +
        `whole numbers of at least 1 that add up to ${size}${whole ? `, not ${total}` : ''}.`,
    );
  }
  let start = 0;
  return tidy(() =>
    lengths.map((length) => {
      const part = slice(x, axis, start, length);
      start += length;
      return part;
    }),
  );
}

/** Joins tensors along an axis. @throws ShapeError unless all other sizes are equal. */
export function concat(parts: readonly Tensor[], axis: number): Tensor {
  const [first] = isList(parts) ? parts : [];
  if (!first) {
    throw new ShapeError(
      `concat: got ${formatValue(parts)}; expected a list of at least one tensor.`,
    );
  }
  // One by one: a function does not take any number of arguments.
  for (const p of parts) commonBackend('concat', first, p);
  const { backend } = first;
  requireAxis('concat', first, axis);
  for (const p of parts) {
    if (p.rank !== first.rank || p.shape.some((s, i) => i !== axis && s !== first.shape[i])) {
      throw new ShapeError(
        `concat: ${formatShape(p.shape)} does not join ${formatShape(first.shape)} along axis ${axis}.`,
      );
    }
  }
  const lengths = parts.map((p) => p.shape[axis]!);
  const shape = first.shape.map((s, i) => (i === axis ? lengths.reduce((a, b) => a + b, 0) : s));
  const outer = sizeOf(first.shape.slice(0, axis));
  const inner = sizeOf(first.shape.slice(axis + 1));
  const storages = parts.map((p) => p.storage);
  return wrap(shape, backend, backend.concat(storages, outer, lengths, inner));
}

/** The size of an axis. @throws ShapeError unless x has it. */
function requireAxis(op: string, x: Tensor, axis: number): number {
  const { shape } = requireTensor(op, x);
  const size = Number.isInteger(axis) ? shape[axis] : undefined;
  if (size !== undefined) return size;
  throw new ShapeError(`${op}: axis ${formatValue(axis)} is not one of ${formatShape(shape)}.`);
}

/** Drops axes of size 1 and joins axes that stay neighbours, so that backends see few, long ones. */
function mergeAxes(
  shape: readonly number[],
  axes: readonly number[],
): { sizes: number[]; order: number[] } {
  const groups: { first: number; last: number; size: number }[] = [];
  for (const axis of axes) {
    const size = shape[axis]!;
    if (size === 1) continue;
    const previous = groups.at(-1);
    if (previous && axis > previous.last && sizeOf(shape.slice(previous.last + 1, axis)) === 1) {
      previous.last = axis;
      previous.size *= size;
    } else groups.push({ first: axis, last: axis, size });
  }
  if (groups.length === 0) return { sizes: [1], order: [0] };
  const source = [...groups].sort((a, b) => a.first - b.first);
  return { sizes: source.map((g) => g.size), order: groups.map((g) => source.indexOf(g)) };
}
