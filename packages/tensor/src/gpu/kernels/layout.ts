/** Kernels that move numbers: permutation, slices and joins. */
import {
  coordinate,
  eachLane,
  type IndexFunction,
  index,
  type KernelSource,
  position,
  rowMajor,
  strided,
} from '../source.ts';

/** A kernel whose element i is x[at(i)]. */
function gather(op: string, key: string, size: number, at: () => IndexFunction): KernelSource {
  return {
    op,
    key,
    arrays: ['x'],
    scalars: [],
    size,
    write: () => ({
      functions: [at()],
      body: eachLane((lane) => `x[at(${position(lane)})]`),
    }),
  };
}

export function permuteSource(sizes: readonly number[], axes: readonly number[]): KernelSource {
  const strides = rowMajor(sizes);
  const outSizes = axes.map((axis) => sizes[axis]!);
  const outStrides = axes.map((axis) => strides[axis]!);
  const size = sizes.reduce((a, b) => a * b, 1);
  const at = () => index('at', ['i'], strided('i', outSizes, outStrides));
  return gather('permute', `permute:${sizes}:${axes}`, size, at);
}

export function sliceSource(
  outer: number,
  axis: number,
  inner: number,
  start: number,
  length: number,
): KernelSource {
  const at = () =>
    index('at', ['i'], strided('i', [outer, length * inner], [axis * inner, 1], start * inner));
  const key = `slice:${outer}:${axis}:${inner}:${start}:${length}`;
  return gather('slice', key, outer * length * inner, at);
}

/** Joins two parts of lengths m and n along the middle axis. */
export function concatSource(outer: number, m: number, n: number, inner: number): KernelSource {
  const sizes = [outer, (m + n) * inner];
  return {
    op: 'concat',
    key: `concat:${outer}:${m}:${n}:${inner}`,
    arrays: ['p', 'q'],
    scalars: [],
    size: outer * (m + n) * inner,
    write: () => ({
      functions: [
        index('within', ['i'], coordinate('i', sizes, 1)),
        index('pAt', ['i'], strided('i', sizes, [m * inner, 1])),
        index('qAt', ['i'], `${strided('i', sizes, [n * inner, 1])} - ${m * inner}`),
      ],
      body: eachLane(
        (lane) => `v${lane}`,
        (lane) =>
          `let v${lane} = 0;
         if (within(${position(lane)}) < ${m * inner}) { v${lane} = p[pAt(${position(lane)})]; }
         else { v${lane} = q[qAt(${position(lane)})]; }`,
      ),
    }),
  };
}
