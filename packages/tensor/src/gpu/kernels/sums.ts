/** Reductions in WGSL: an invocation a result where there are many of few numbers, else a workgroup. */
import type { ReduceOp, Reduction } from '../../backend.ts';
import {
  builtins,
  declare,
  MAX_WORKGROUPS,
  overAll,
  type SizedSource,
  THREADS,
  type WgslSource,
} from './shader.ts';

/** Results have an invocation each from so many on, or where they are of so few numbers. */
const MANY = 16_384;
const FEW = 32;
/** Workgroups that keep a device busy; where there are fewer, one makes so many reads before others help it. */
const BUSY = 64;
const PIECE = 4096;

const initial: Readonly<Record<ReduceOp, string>> = {
  max: '-3.4028234663852886e38',
  sum: '0.0',
  sumSquares: '0.0',
};

/** The stages of a reduction: each reduces the result of the one before. */
export function reduceWgsl(op: ReduceOp, how: Reduction): readonly SizedSource[] {
  const reads = readsOf(op, how);
  const { kept, gone } = reads;
  if (kept >= MANY || gone <= FEW) return [inInvocations(reads)];
  const parts = kept >= BUSY ? 1 : Math.min(1024, Math.ceil(gone / PIECE));
  const first = inWorkgroups(reads, parts);
  if (parts === 1) return [first];
  const rest = { sizes: [kept, parts], reduced: [false, true] };
  return [first, ...reduceWgsl(op === 'sumSquares' ? 'sum' : op, rest)];
}

/** The sums of the rows of [rows, columns], a workgroup each. */
export function rowSums(rows: number, columns: number): WgslSource {
  return inWorkgroups(readsOf('sum', { sizes: [rows, columns], reduced: [false, true] }), 1);
}

/** What goes into each result: so many reads for each of `kept`, of one number or of four. */
interface Reads {
  readonly op: ReduceOp;
  readonly key: string;
  readonly kept: number;
  readonly gone: number;
  readonly quads: boolean;
  /** `fn valueAt(i, j)`: read j of those that go into result i. */
  readonly text: string;
}

function readsOf(op: ReduceOp, { sizes, reduced }: Reduction): Reads {
  const quads = reduced.at(-1)! && sizes.at(-1)! % 4 === 0;
  const read = quads ? [...sizes.slice(0, -1), sizes.at(-1)! / 4] : sizes;
  // From the innermost axis outwards, each takes its coordinate off the rest.
  let stride = 1;
  const lines: string[] = [];
  for (let axis = read.length - 1; axis >= 0; axis--) {
    const [rest, size] = [reduced[axis] ? 'gone' : 'kept', read[axis]!];
    lines.push(`at += ${rest} % ${size}u * ${stride}u; ${rest} /= ${size}u;`);
    stride *= size;
  }
  return {
    op,
    key: `${op}:${sizes}:${reduced.map(Number)}`,
    kept: volume(read.filter((_, axis) => !reduced[axis])),
    gone: volume(read.filter((_, axis) => reduced[axis])),
    quads,
    text: `fn valueAt(i : u32, j : u32) -> f32 {
      var at = 0u; var kept = i; var gone = j;
      ${lines.join('\n')}
      let v = x[at];
      return ${quads ? ofFour[op] : op === 'sumSquares' ? 'v * v' : 'v'};
    }`,
  };
}

const ofFour: Readonly<Record<ReduceOp, string>> = {
  max: 'max(max(v.x, v.y), max(v.z, v.w))',
  sum: '(v.x + v.y) + (v.z + v.w)',
  sumSquares: 'dot(v, v)',
};

function inInvocations({ op, key, kept, gone, quads, text: reading }: Reads): SizedSource {
  const workgroups = Math.ceil(kept / 64);
  const wide = Math.min(workgroups, MAX_WORKGROUPS);
  const wgsl = () => {
    const { text, bound } = declare([{ name: 'x', quads }], [{ name: 'result' }]);
    const code = `${text} ${reading}
      @compute @workgroup_size(64) fn main(${builtins}) {
        let i = (group.x + group.y * ${wide}u) * 64u + thread;
        if (i >= ${kept}u) { return; }
        var all = ${initial[op]};
        for (var j = 0u; j < ${gone}u; j++) { all = ${combine(op)('all', 'valueAt(i, j)')}; }
        result[i] = all;
      }`;
    return { ...bound, code, workgroups: [wide, Math.ceil(workgroups / wide), 1] as const };
  };
  return { op, key: `${key}:serial`, size: kept, wgsl };
}

function inWorkgroups(
  { op, key, kept, gone, quads, text: reading }: Reads,
  parts: number,
): SizedSource {
  const threads = gone <= 256 ? 64 : THREADS;
  const wgsl = () => {
    const { text, bound } = declare([{ name: 'x', quads }], [{ name: 'result' }]);
    const code = `${text} ${reading} ${overAll('f32', threads, combine(op))}
      @compute @workgroup_size(${threads}) fn main(${builtins}) {
        for (var i = group.y; i < ${kept}u; i += groups.y) {
          var mine = ${initial[op]};
          for (var j = group.x * ${threads}u + thread; j < ${gone}u; j += ${parts * threads}u) {
            mine = ${combine(op)('mine', 'valueAt(i, j)')};
          }
          let all = overAll(thread, mine);
          if (thread == 0u) { result[i * ${parts}u + group.x] = all; }
        }
      }`;
    return { ...bound, code, workgroups: [parts, Math.min(kept, MAX_WORKGROUPS), 1] as const };
  };
  return { op, key: `${key}:${parts}`, size: kept * parts, wgsl };
}

const combine = (op: ReduceOp) => (a: string, b: string) =>
  op === 'max' ? `max(${a}, ${b})` : `${a} + ${b}`;

function volume(sizes: readonly number[]): number {
  return sizes.reduce((a, b) => a * b, 1);
}
