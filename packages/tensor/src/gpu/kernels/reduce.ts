/** Reductions, in two stages where one would leave most of the device idle. */
import type { ReduceOp, Reduction } from '../../backend.ts';
import {
  coordinate,
  eachLane,
  index,
  type KernelSource,
  position,
  rowMajor,
  strided,
} from '../source.ts';

/** A reduction in one stage sums at most so many numbers per invocation. */
const SERIAL = 256;

const initial: Readonly<Record<ReduceOp, string>> = {
  max: '-3.4028234663852886e38',
  sum: '0',
  sumSquares: '0',
};

const step: Readonly<Record<ReduceOp, (acc: string, v: string) => string>> = {
  max: (acc, v) => `${acc} = Math.max(${acc}, ${v});`,
  sum: (acc, v) => `${acc} += ${v};`,
  sumSquares: (acc, v) => `${acc} += ${v} * ${v};`,
};

/** The stages of a reduction: each reduces the result of the one before. */
export function reduceSources(op: ReduceOp, how: Reduction): readonly KernelSource[] {
  const { sizes, reduced } = how;
  const kept = product(sizes.filter((_, axis) => !reduced[axis]));
  const longest = sizes.reduce(
    (best, size, axis) => (reduced[axis] && (best < 0 || size > sizes[best]!) ? axis : best),
    -1,
  );
  const gone = product(sizes.filter((_, axis) => reduced[axis]));
  if (longest < 0 || gone <= SERIAL || sizes[longest]! < 4) return [reduceSource(op, how, -1, 1)];
  const chunks = Math.ceil(sizes[longest]! / Math.max(2, Math.ceil(Math.sqrt(gone) / 2)));
  const first = reduceSource(op, how, longest, Math.max(2, chunks));
  const rest = { sizes: [kept, first.size / kept], reduced: [false, true] };
  return [first, ...reduceSources(op === 'sumSquares' ? 'sum' : op, rest)];
}

/** One stage; `axis` is cut into `chunks`, which are the innermost axis of the result. */
function reduceSource(op: ReduceOp, how: Reduction, axis: number, chunks: number): KernelSource {
  const { sizes, reduced } = how;
  const strides = rowMajor(sizes);
  const keptAxes = sizes.flatMap((_, a) => (reduced[a] ? [] : [a]));
  const goneAxes = sizes.flatMap((_, a) => (reduced[a] ? [a] : []));
  const length = axis < 0 ? 0 : Math.ceil(sizes[axis]! / chunks);
  const used = axis < 0 ? 1 : Math.ceil(sizes[axis]! / length);
  const outSizes = [...keptAxes.map((a) => sizes[a]!), used];
  const outStrides = [...keptAxes.map((a) => strides[a]!), length * (strides[axis] ?? 0)];
  const names = goneAxes.map((a) => `r${a}`);
  const offset = goneAxes.map((a) => ` + r${a} * ${strides[a]}`).join('');
  const loops = goneAxes.map(
    (a) => `for (let r${a} = 0; r${a} < ${a === axis ? length : sizes[a]}; r${a}++) {`,
  );
  const add = (lane: number) =>
    step[op](`s${lane}`, op === 'sumSquares' ? `v${lane}` : `x[${read(lane)}]`);
  const read = (lane: number) => `at(${[position(lane), ...names].join(', ')})`;
  const body = (lane: number) =>
    op === 'sumSquares' ? `const v${lane} = x[${read(lane)}]; ${add(lane)}` : add(lane);
  const guarded = (lane: number) =>
    axis >= 0 && used * length > sizes[axis]!
      ? `if (chunk(${position(lane)}) * ${length} + r${axis} < ${sizes[axis]}) { ${body(lane)} }`
      : body(lane);
  return {
    op,
    key: `${op}:${sizes}:${reduced.map(Number)}:${axis}:${chunks}`,
    arrays: ['x'],
    scalars: [],
    size: product(outSizes),
    write: () => ({
      functions: [
        index('at', ['i', ...names], `${strided('i', outSizes, outStrides)}${offset}`),
        index('chunk', ['i'], coordinate('i', outSizes, outSizes.length - 1)),
      ],
      body: eachLane(
        (lane) => `s${lane}`,
        (lane) =>
          `let s${lane} = ${initial[op]};
         ${loops.join(' ')} ${guarded(lane)} ${'}'.repeat(loops.length)}`,
      ),
    }),
  };
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((a, b) => a * b, 1);
}
