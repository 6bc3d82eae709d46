/** Numbers on a grid in space: between its nodes, and how far from some of them. */

/** Numbers on a grid, the last axis moving fastest. */
export interface Grid {
  readonly size: readonly [number, number, number];
  readonly values: Float32Array;
}

/** The value at a place, linear between nodes; beyond the grid, that of its nearest place. */
export function interpolate({ size, values }: Grid, x: number, y: number, z: number): number {
  const [nx, ny, nz] = size;
  const px = clamp(x, nx);
  const py = clamp(y, ny);
  const pz = clamp(z, nz);
  const i = Math.min(Math.floor(px), nx - 2);
  const j = Math.min(Math.floor(py), ny - 2);
  const k = Math.min(Math.floor(pz), nz - 2);
  const at = (i * ny + j) * nz + k;
  const near = bilinear(values, at, nz, py - j, pz - k);
  return near + (px - i) * (bilinear(values, at + ny * nz, nz, py - j, pz - k) - near);
}

function bilinear(values: Float32Array, at: number, row: number, fy: number, fz: number): number {
  const a = values[at]! + fz * (values[at + 1]! - values[at]!);
  const b = values[at + row]! + fz * (values[at + row + 1]! - values[at + row]!);
  return a + fy * (b - a);
}

function clamp(x: number, n: number): number {
  return Math.min(Math.max(x, 0), n - 1);
}

/**
 * Distances, in nodes, to the nearest one whose value is above 0, by lower envelopes of parabolas (Felzenszwalb
 * and Huttenlocher, "Distance transforms of sampled functions", 2012).
 */
export function distanceTo({ size, values }: Grid): Grid {
  const far = size.reduce((sum, n) => sum + n * n, 0);
  const squares = new Float64Array(values.length).fill(far);
  for (let i = 0; i < values.length; i++) if (values[i]! > 0) squares[i] = 0;
  let stride = 1;
  for (const n of size.toReversed()) {
    const line = lineOf(n);
    for (let block = 0; block < squares.length; block += n * stride) {
      for (let first = block; first < block + stride; first++) {
        squaredDistances(squares, { first, stride, ...line });
      }
    }
    stride *= n;
  }
  const distances = new Float32Array(squares.length);
  for (let i = 0; i < squares.length; i++) distances[i] = Math.sqrt(squares[i]!);
  return { size, values: distances };
}

/** Room for a line of n values. */
interface Line {
  readonly heights: Float64Array;
  /** Where the parabolas of the envelope have their minima, and from where on each is lowest. */
  readonly roots: Int32Array;
  readonly starts: Float64Array;
}

function lineOf(n: number): Line {
  return {
    heights: new Float64Array(n),
    roots: new Int32Array(n),
    starts: new Float64Array(n + 1),
  };
}

/** Along a line: min over j of (i − j)² + the value at j, in place of the value at each i. */
function squaredDistances(
  squares: Float64Array,
  {
    first,
    stride,
    heights,
    roots,
    starts,
  }: Line & { readonly first: number; readonly stride: number },
): void {
  const n = heights.length;
  for (let i = 0; i < n; i++) heights[i] = squares[first + i * stride]!;
  let last = 0;
  roots[0] = 0;
  starts[0] = Number.NEGATIVE_INFINITY;
  for (let i = 1; i < n; i++) {
    const height = heights[i]! + i * i;
    let meet: number;
    for (;;) {
      const root = roots[last]!;
      meet = (height - heights[root]! - root * root) / (2 * (i - root));
      if (meet > starts[last]!) break;
      last -= 1;
    }
    last += 1;
    roots[last] = i;
    starts[last] = meet;
  }
  starts[last + 1] = Number.POSITIVE_INFINITY;
  for (let i = 0, current = 0; i < n; i++) {
    while (starts[current + 1]! < i) current += 1;
    const root = roots[current]!;
    squares[first + i * stride] = (i - root) ** 2 + heights[root]!;
  }
}
