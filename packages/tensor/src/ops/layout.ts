/** Operations that move numbers without changing them. */
import { formatShape, ShapeError } from '../errors.ts';
import { sizeOf, type Tensor } from '../tensor.ts';
import { commonBackend, wrap } from './operands.ts';

/** Result axis i is the operand's axis `axes[i]`. @throws ShapeError unless a permutation. */
export function permute(x: Tensor, axes: readonly number[]): Tensor {
  if (axes.length !== x.rank || x.shape.some((_, i) => !axes.includes(i))) {
    throw new ShapeError(
      `permute: ${formatShape(axes)} is not a permutation of the axes of ${formatShape(x.shape)}.`,
    );
  }
  const shape = axes.map((a) => x.shape[a]!);
  const { sizes, order } = mergeAxes(x.shape, axes);
  return wrap(shape, x.backend, x.backend.permute(x.storage, sizes, order));
}

/** `length` entries of an axis, from `start` on. @throws ShapeError when out of range. */
export function slice(x: Tensor, axis: number, start: number, length: number): Tensor {
  const size = x.shape[axis];
  if (size === undefined || start < 0 || length < 1 || start + length > size) {
    throw new ShapeError(
      `slice: entries ${start} to ${start + length} of axis ${axis} are not in ${formatShape(x.shape)}.`,
    );
  }
  const shape = x.shape.map((s, i) => (i === axis ? length : s));
  const outer = sizeOf(x.shape.slice(0, axis));
  const inner = sizeOf(x.shape.slice(axis + 1));
  return wrap(shape, x.backend, x.backend.slice(x.storage, outer, size, inner, start, length));
}

/** Cuts an axis into parts of the given lengths. @throws ShapeError unless they add up. */
export function split(x: Tensor, axis: number, lengths: readonly number[]): Tensor[] {
  const total = lengths.reduce((a, b) => a + b, 0);
  if (total !== x.shape[axis]) {
    throw new ShapeError(
      `split: lengths ${formatShape(lengths)} add up to ${total}, axis ${axis} of ` +
        `${formatShape(x.shape)} has ${x.shape[axis]}.`,
    );
  }
  let start = 0;
  return lengths.map((length) => {
    const part = slice(x, axis, start, length);
    start += length;
    return part;
  });
}

/** Joins tensors along an axis. @throws ShapeError unless all other sizes are equal. */
export function concat(parts: readonly Tensor[], axis: number): Tensor {
  const first = parts[0];
  if (!first) throw new ShapeError('concat: expected at least one tensor.');
  const backend = commonBackend('concat', first, ...parts.slice(1));
  for (const p of parts) {
    if (
      p.rank !== first.rank ||
      !(axis in p.shape) ||
      p.shape.some((s, i) => i !== axis && s !== first.shape[i])
    ) {
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
