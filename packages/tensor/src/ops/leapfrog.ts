/**
 * Two-dimensional wave fields by an explicit scheme in time, all steps in one call: the solver under
 * `AcousticWave` and `Photoacoustic` of @invnet/operators. Mathematics: docs/math/operators/acoustic-wave.md
 *
 * Left out: media, units and stability, which are the operators'; and backends other than `reference`, `wasm` and
 * `native`, since thousands of small steps, each of which waits for the one before, would be mere calls there.
 */
import type { Shape } from '../backend.ts';
import {
  requireBetween,
  requireBoolean,
  requireList,
  requireOptions,
  requireWhole,
} from '../checks.ts';
import { BackendError, formatShape, formatValue, ShapeError, ValueError } from '../errors.ts';
import { ReferenceBackend } from '../reference/backend.ts';
import { leapfrog as onReference } from '../reference/leapfrog.ts';
import { requireTensor, type Tensor } from '../tensor.ts';
import { WasmBackend } from '../wasm/backend.ts';
import { leapfrog as onWasm } from '../wasm/leapfrog.ts';
import type { KeptField, WaveChannels, WavePoints, WaveRun } from '../wave.ts';
import { commonBackend } from './operands.ts';

export { laplacianWeights } from '../wave.ts';

/** Numbers that go into a field at points, or come out of it there. */
export interface LeapfrogSeries {
  /** Rows and columns of the image, from 0 to its size less 1; between cells, the four around share by bilinear weights. */
  readonly points: readonly (readonly [row: number, column: number])[];
  /** Steps from one time to the next. Default: 1. */
  readonly every?: number;
  /** [N, shots, times, points], with ⌊(steps − 1)/every⌋ + 1 times: those of the steps 0, every, 2 every, …. */
  readonly series: Tensor;
}

/** Options of `leapfrog`: N samples of `shots` fields each, on images of H × W cells, grids of Z × X. */
export interface LeapfrogOptions {
  /** γ, [N, Z, X], or [1, Z, X] for all samples. */
  readonly gain: Tensor;
  /** β, as γ. */
  readonly decay: Tensor;
  /** N and the fields of each sample. */
  readonly fields: readonly [samples: number, shots: number];
  /** Cells of the grid around the image: Z = H + 2 border, X = W + 2 border. */
  readonly border: number;
  /** Distances of cells, along rows' and columns' numbers. */
  readonly spacing: readonly [number, number];
  readonly steps: number;
  /** Does time run backwards? Default: false. */
  readonly reverse?: boolean;
  /** Drives fields: q of γ(Δu + q) at the points. */
  readonly inject?: LeapfrogSeries;
  /** Its series is set to what fields are at the points. */
  readonly record?: LeapfrogSeries;
  /** Adds potential⊙field to u⁺: [N, H, W] times what a run has kept, of N samples or one. */
  readonly scatter?: { readonly potential: Tensor; readonly field: Tensor };
  /** Is set to the steps' γ(Δu + q), with what is scattered: [N, shots, steps − 1, H, W]. */
  readonly keep?: Tensor;
  /** sum ← sum + Σ u⁺⊙field over steps, [N, shots, H, W], with what a run has kept, of N samples or one. */
  readonly image?: { readonly sum: Tensor; readonly field: Tensor };
  /** u⁻ and u before the first step, and in their place those after the last one, [N, shots, Z, X]. Default: zero. */
  readonly state?: { readonly previous: Tensor; readonly current: Tensor };
}

/**
 * Steps u⁺ = u + β(u − u⁻) + γ(Δu + q), with a Laplacian of 8th order and u = 0 around the grid, of which what is
 * asked for is set or updated in place. The field at time t = 0 … steps − 1 is recorded and driven, and gives that
 * at t + 1; with `reverse`, times are steps − 1 … 0 and it gives that at t − 1, so that the same options with
 * `inject` and `record` exchanged are the adjoint. What is scattered, kept and correlated at a step is counted by the
 * lower one of both times, 0 … steps − 2; at a step beyond those there is none.
 *
 * It runs on `reference`, `wasm` and `native`; bits do not depend on the number of threads.
 *
 * @throws ShapeError, ValueError; BackendError on other backends
 * @example
 * // A pulse in the middle of a homogeneous medium, as a receiver beside it hears it.
 * const grid = [1, 101, 101];
 * const record = { points: [[50, 80]] as const, series: zeros([1, 1, 300, 1]) };
 * const inject = { points: [[50, 50]] as const, series: tensor(pulse, [1, 1, 300, 1]) };
 * leapfrog({
 *   gain: full(grid, 0.2), decay: ones(grid), fields: [1, 1], border: 0, spacing: [1, 1], steps: 300, inject, record,
 * });
 */
export function leapfrog(options: LeapfrogOptions): void {
  requireOptions('leapfrog', options, names);
  const { gain, decay, border, spacing, steps, reverse = false } = options;
  const { inject, record, scatter, keep, image, state } = options;
  requireList('leapfrog', 'fields', options.fields);
  const [samples, shots] = options.fields;
  requireWhole('leapfrog', 'the number of samples', samples, 1);
  requireWhole('leapfrog', 'the number of shots', shots, 1);
  requireWhole('leapfrog', 'border', border, 0);
  requireWhole('leapfrog', 'steps', steps, 1, MOST_STEPS);
  requireBoolean('leapfrog', 'reverse', reverse);
  requireList('leapfrog', 'spacing', spacing);
  const [dz, dx] = spacing;
  requireBetween('leapfrog', 'spacing[0]', dz, 0);
  requireBetween('leapfrog', 'spacing[1]', dx, 0);
  requireTensor('leapfrog', gain);
  const [media = 0, rows = 0, columns = 0] = gain.shape;
  const [height, width] = [rows - 2 * border, columns - 2 * border];
  const perSample = media === 1 || media === samples;
  if (gain.rank !== 3 || !perSample || height < 1 || width < 1) {
    throw new ShapeError(
      `leapfrog: gain is ${formatShape(gain.shape)}; expected [${samples}, Z, X] or [1, Z, X] with sizes of more ` +
        `than the borders of ${border} cells.`,
    );
  }
  if (gain.size > MOST_CELLS) {
    throw new ShapeError(
      `leapfrog: a grid has ${gain.size} cells; expected ${MOST_CELLS} at most.`,
    );
  }
  const tensors: Tensor[] = [];
  const shaped = (name: string, t: Tensor, shape: Shape) => {
    requireTensor('leapfrog', t);
    if (formatShape(t.shape) !== formatShape(shape)) {
      throw new ShapeError(
        `leapfrog: ${name} is ${formatShape(t.shape)}; expected ${formatShape(shape)}.`,
      );
    }
    tensors.push(t);
    return t.storage;
  };
  const inSteps = [shots, steps - 1, height, width];
  const kept = (name: string, field: Tensor): KeptField => {
    requireTensor('leapfrog', field);
    const of = field.shape[0] === 1 ? 1 : samples;
    return { storage: shaped(name, field, [of, ...inSteps]), fields: of * shots };
  };
  const channels = (name: string, given: LeapfrogSeries): WaveChannels => {
    requireOptions(`leapfrog: ${name}`, given, ['points', 'every', 'series']);
    const { every = 1, series } = given;
    requireWhole('leapfrog', `${name}.every`, every, 1, MOST_STEPS);
    const points = pointsIn(name, given.points, height, width);
    const times = Math.floor((steps - 1) / every) + 1;
    const shape = [samples, shots, times, points.channels];
    return { points, every, times, series: shaped(`${name}.series`, series, shape) };
  };
  if (scatter) requireOptions('leapfrog: scatter', scatter, ['potential', 'field']);
  if (image) requireOptions('leapfrog: image', image, ['sum', 'field']);
  if (state) requireOptions('leapfrog: state', state, ['previous', 'current']);
  const grids = [samples, shots, rows, columns];
  const run: WaveRun = {
    ...{ samples, shots, height, width, border, steps, reverse, spacing: [dz, dx], media },
    gain: shaped('gain', gain, gain.shape),
    decay: shaped('decay', decay, gain.shape),
    inject: inject && channels('inject', inject),
    record: record && channels('record', record),
    scatter: scatter && {
      potential: shaped('scatter.potential', scatter.potential, [samples, height, width]),
      field: kept('scatter.field', scatter.field),
    },
    keep: keep && shaped('keep', keep, [samples, ...inSteps]),
    image: image && {
      sum: shaped('image.sum', image.sum, [samples, shots, height, width]),
      field: kept('image.field', image.field),
    },
    state: state && {
      previous: shaped('state.previous', state.previous, grids),
      current: shaped('state.current', state.current, grids),
    },
  };
  const backend = commonBackend('leapfrog', gain, ...tensors);
  if (backend instanceof WasmBackend) onWasm(backend.runtime, run);
  else if (backend instanceof ReferenceBackend) onReference(backend, run);
  else requireLeapfrog('leapfrog', gain);
}

/** @throws BackendError, in the name of `op`, unless wave fields run where x is. */
export function requireLeapfrog(op: string, x: Tensor): void {
  const { backend } = requireTensor(op, x);
  if (backend instanceof WasmBackend || backend instanceof ReferenceBackend) return;
  throw new BackendError(
    `${op}: ${backend.name} has no wave fields; 'wasm', 'native' and 'reference' have them. Make the tensors ` +
      'after setBackend with one of these.',
  );
}

const names = [
  ...['gain', 'decay', 'fields', 'border', 'spacing', 'steps', 'reverse', 'inject', 'record'],
  ...['scatter', 'keep', 'image', 'state'],
];

/** Cells that kernels count in whole numbers of 32 bits, in bytes. */
const MOST_CELLS = 2 ** 28;
/** What kernels count in whole numbers of 32 bits, with a sign. */
const MOST_STEPS = 2 ** 31 - 1;

/** @throws ValueError for none, and for one outside of the image. */
function pointsIn(
  name: string,
  points: LeapfrogSeries['points'],
  height: number,
  width: number,
): WavePoints {
  requireList('leapfrog', `${name}.points`, points);
  if (points.length === 0) {
    throw new ValueError(`leapfrog: ${name}.points is empty; expected [row, column] pairs.`);
  }
  for (const point of points) {
    const isPair = Array.isArray(point) && point.length === 2;
    const inside =
      isPair && point.every((at, i) => at >= 0 && at <= (i === 0 ? height : width) - 1);
    if (inside) continue;
    const given = isPair ? `[${point.map(formatValue).join(', ')}]` : formatValue(point);
    throw new ValueError(
      `leapfrog: ${name}.points has ${given}; expected [row, column] with a row from 0 to ${height - 1} ` +
        `and a column from 0 to ${width - 1}.`,
    );
  }
  const between = points.some((point) => point.some((at) => !Number.isInteger(at)));
  const taps = points.map(([row, column]) => (between ? around(row, column) : [[row, column, 1]]));
  const cells = taps.flat().map(([row = 0, column = 0]) => row * width + column);
  const weights = taps.flat().map(([, , weight = 0]) => weight);
  return {
    channels: points.length,
    taps: between ? 4 : 1,
    cells: Int32Array.from(cells),
    weights: Float64Array.from(weights),
  };
}

/** The four cells around a point, with bilinear weights; on the last row or column, cells of it twice. */
function around(row: number, column: number): number[][] {
  const [z, x] = [row % 1, column % 1];
  return [Math.floor(row), Math.ceil(row)].flatMap((r, i) =>
    [Math.floor(column), Math.ceil(column)].map((c, j) => [
      ...[r, c, (i === 0 ? 1 - z : z) * (j === 0 ? 1 - x : x)],
    ]),
  );
}
