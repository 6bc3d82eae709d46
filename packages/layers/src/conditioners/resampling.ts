/** Sums over windows of a grid, and numbers repeated over them: the adjoints that pooling is made of. */
import {
  concat,
  formatShape,
  max,
  type ReduceOptions,
  type Shape,
  ShapeError,
  slice,
  sum,
  type Tensor,
  tidy,
  zeros,
} from '@invnet/tensor';

/** Σ over windows of `factor` neighbours along each spatial axis; what is left over behind is left out. */
export function sumWindows(x: Tensor, factor: number): Tensor {
  return foldWindows(x, factor, sum);
}

/** The largest number of each such window. */
export function maxOfWindows(x: Tensor, factor: number): Tensor {
  return foldWindows(x, factor, max);
}

/** Each number `factor` times along each spatial axis. */
export function repeatNumbers(x: Tensor, factor: number): Tensor {
  return alongAxes(x, (t, axis) => {
    const [outer, size, inner] = around(t.shape, axis);
    const single = t.reshape([outer, size, 1, inner]);
    const repeated = concat(new Array<Tensor>(factor).fill(single), 2);
    return repeated.reshape(resized(t.shape, axis, size * factor));
  });
}

/** The front of a grid, in sizes that are not larger. */
export function cropped(x: Tensor, sizes: Shape): Tensor {
  return alongAxes(x, (t, axis) =>
    t.shape[axis] === sizes[axis - 2] ? t : slice(t, axis, 0, sizes[axis - 2]!),
  );
}

/** A grid with zeros behind it, in sizes that are not smaller. */
export function padded(x: Tensor, sizes: Shape): Tensor {
  return alongAxes(x, (t, axis) => {
    const more = sizes[axis - 2]! - t.shape[axis]!;
    return more === 0 ? t : concat([t, zeros(resized(t.shape, axis, more), t)], axis);
  });
}

/** How many windows fit along each spatial axis. @throws ShapeError where that is none. */
export function windowsIn(op: string, x: Shape, factor: number): Shape {
  const windows = x.slice(2).map((s) => Math.floor(s / factor));
  if (x.length >= 3 && x.length <= 5 && windows.every((s) => s > 0)) return windows;
  throw new ShapeError(
    `${op}: got ${formatShape(x)}; expected [N, C, …] with one to three spatial axes of at least ${factor}.`,
  );
}

function foldWindows(
  x: Tensor,
  factor: number,
  fold: (t: Tensor, options: ReduceOptions) => Tensor,
): Tensor {
  const whole = windowsIn('windows', x.shape, factor).map((s) => s * factor);
  return tidy(() =>
    alongAxes(cropped(x, whole), (t, axis) => {
      const [outer, size, inner] = around(t.shape, axis);
      const windows = t.reshape([outer, size / factor, factor, inner]);
      return fold(windows, { axes: [2] }).reshape(resized(t.shape, axis, size / factor));
    }),
  );
}

function alongAxes(x: Tensor, step: (t: Tensor, axis: number) => Tensor): Tensor {
  return tidy(() => {
    let t = x;
    for (let axis = 2; axis < x.rank; axis++) t = step(t, axis);
    return t;
  });
}

/** The numbers before an axis, on it, and behind it. */
function around(shape: Shape, axis: number): [number, number, number] {
  const product = (part: Shape) => part.reduce((a, b) => a * b, 1);
  return [product(shape.slice(0, axis)), shape[axis]!, product(shape.slice(axis + 1))];
}

function resized(shape: Shape, axis: number, size: number): number[] {
  return shape.map((s, i) => (i === axis ? size : s));
}
