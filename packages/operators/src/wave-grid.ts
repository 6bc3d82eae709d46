/**
 * Where waves run: an image's cells with a border around them that swallows what leaves, and what the wave equation
 * makes of a medium there. Mathematics: docs/math/operators/acoustic-wave.md
 */

import {
  formatShape,
  formatValue,
  laplacianWeights,
  requireBetween,
  requireLeapfrog,
  requireList,
  requireTensor,
  requireWhole,
  type Shape,
  ShapeError,
  type Tensor,
  tensor,
  ValueError,
} from '@invnet/tensor';
import { imageSize } from './operator.ts';

/** What `AcousticWave` and `Photoacoustic` have in common. */
export interface WaveGridOptions {
  /** Cells of an image, down and across. */
  readonly size: readonly [height: number, width: number];
  /** Distance of cells, or both distances, down and across: for instance in metres. */
  readonly spacing: number | readonly [number, number];
  /** Cells around the image in which waves are damped. Default: 20. */
  readonly border?: number;
  /** Time of a step: for instance in milliseconds. */
  readonly timeStep: number;
  /** Times of a field: 0, timeStep, …, (steps − 1) timeStep. */
  readonly steps: number;
  /** Steps from one time of the data to the next. Default: 1. */
  readonly every?: number;
}

/** Names of these options. */
export const waveGridNames = ['size', 'spacing', 'border', 'timeStep', 'steps', 'every'] as const;

/** A position down and across, as lengths from the middle of the first cell. */
export type Position = readonly [down: number, across: number];

/** β and γ of a medium, [M, Z, X]. */
export interface WaveCoefficients {
  readonly gain: Tensor;
  readonly decay: Tensor;
}

/** The numbers of a medium, [count, height, width]. */
export interface MediumNumbers {
  readonly count: number;
  readonly values: Float64Array;
}

/** Far more than swallows any wave. */
const WIDEST_BORDER = 1000;

/** Far more than any wave is followed. */
export const MOST_STEPS = 2 ** 24;

/** What is to be left of a wave that has gone through the border and back, were it not for its reflection by damping. */
const LEFT = 1e-3;

export class WaveGrid {
  readonly size: readonly [number, number];
  readonly spacing: readonly [number, number];
  readonly border: number;
  readonly timeStep: number;
  readonly steps: number;
  readonly every: number;
  readonly #op: string;

  /** @throws ValueError */
  constructor(op: string, options: WaveGridOptions) {
    const { size, spacing, border = 20, timeStep, steps, every = 1 } = options;
    this.#op = op;
    const [height, width] = imageSize(op, size, [2 ** 16, 2 ** 16]);
    const distances = typeof spacing === 'number' ? [spacing, spacing] : spacing;
    requireList(op, 'spacing', distances, 'a number or [down, across]');
    const [dz, dx] = distances as readonly [number, number];
    requireBetween(op, 'spacing', dz, 0);
    requireBetween(op, 'spacing', dx, 0);
    requireWhole(op, 'border', border, 0, WIDEST_BORDER);
    requireBetween(op, 'timeStep', timeStep, 0);
    requireWhole(op, 'steps', steps, 2, MOST_STEPS);
    requireWhole(op, 'every', every, 1, MOST_STEPS);
    this.size = [height, width];
    this.spacing = [dz, dx];
    this.border = border;
    this.timeStep = timeStep;
    this.steps = steps;
    this.every = every;
  }

  /** Height and width with the border. */
  get shape(): readonly [number, number] {
    return [this.size[0] + 2 * this.border, this.size[1] + 2 * this.border];
  }

  /** Times of the data. */
  get times(): number {
    return Math.floor((this.steps - 1) / this.every) + 1;
  }

  /**
   * Positions as rows and columns of the image, between cells too.
   *
   * @throws ValueError for none, and for one outside of the image
   */
  cells(name: string, positions: readonly Position[]): readonly Position[] {
    requireList(this.#op, name, positions, 'a list of [down, across]');
    if (positions.length === 0) {
      throw new ValueError(`${this.#op}: ${name} are empty; expected positions [down, across].`);
    }
    return positions.map((position) => {
      requireList(this.#op, name, position, 'a list of [down, across]');
      const [row, column] = position.map((at, axis) => nearlyWhole(at / this.spacing[axis]!));
      const inside =
        position.length === 2 &&
        position.every(Number.isFinite) &&
        [row!, column!].every((cell, axis) => cell >= 0 && cell <= this.size[axis]! - 1);
      if (!inside) {
        const most = this.size.map((cells, axis) => (cells - 1) * this.spacing[axis]!);
        throw new ValueError(
          `${this.#op}: ${name} has [${position.map(formatValue).join(', ')}]; expected [down, across] from 0 to ` +
            `${most[0]} and from 0 to ${most[1]}, inside of the image.`,
        );
      }
      return [row!, column!];
    });
  }

  /**
   * The numbers of a medium m = 1/c², [M, 1, height, width].
   *
   * @throws ShapeError; ValueError for numbers that no medium has, and for a time step that is too long for it, with
   *   the longest that would do; BackendError where waves do not run
   */
  read(name: string, m: Tensor): MediumNumbers {
    requireTensor(this.#op, m, name);
    requireLeapfrog(this.#op, m);
    const [count = 0] = m.shape;
    const expected: Shape = [count, 1, ...this.size];
    if (formatShape(m.shape) !== formatShape(expected)) {
      throw new ShapeError(
        `${this.#op}: ${name} is ${formatShape(m.shape)}; expected [N, 1, ${this.size.join(', ')}].`,
      );
    }
    const values = Float64Array.from(m.dataSync<'float64'>());
    const wrong = values.find((value) => !(value > 0 && value < Number.POSITIVE_INFINITY));
    if (wrong !== undefined) {
      throw new ValueError(
        `${this.#op}: ${name} has ${wrong}; expected squared slownesses 1/c², positive and finite.`,
      );
    }
    const fastest = 1 / Math.sqrt(values.reduce((a, b) => Math.min(a, b)));
    const longest = this.#longestStep(fastest);
    if (this.timeStep > longest) {
      throw new ValueError(
        `${this.#op}: timeStep is ${this.timeStep}, and with a fastest wave of ${fastest.toPrecision(4)} in ${name} ` +
          `the scheme is stable up to ${roundDown(longest)}; expected at most that, or larger cells.`,
      );
    }
    return { count, values };
  }

  /** Coefficients of a medium that continues into the border as the background does, where x is. */
  coefficients(m: MediumNumbers, background: MediumNumbers, x: Tensor): WaveCoefficients {
    const { timeStep: dt, border } = this;
    const [height, width] = this.size;
    const [rows, columns] = this.shape;
    const gain = new Float64Array(m.count * rows * columns);
    const decay = new Float64Array(gain.length);
    const [down, across] = [this.#damping(0), this.#damping(1)];
    for (let n = 0, at = 0; n < m.count; n++) {
      const behind = background.count === 1 ? 0 : n;
      const slowness = Math.sqrt(mean(background.values, behind, height * width));
      for (let z = 0; z < rows; z++) {
        for (let x = 0; x < columns; x++, at++) {
          const [row, column] = [z - border, x - border];
          const [near, beside] = [clamp(row, height), clamp(column, width)];
          const inside = near === row && beside === column;
          const { values } = inside ? m : background;
          const cell = ((inside ? n : behind) * height + near) * width + beside;
          const inertia = values[cell]! / dt ** 2;
          const loss = (slowness * (down[z]! + across[x]!)) / (2 * dt);
          gain[at] = 1 / (inertia + loss);
          decay[at] = (inertia - loss) / (inertia + loss);
        }
      }
    }
    const shape = [m.count, rows, columns];
    return { gain: tensor(gain, shape, x), decay: tensor(decay, shape, x) };
  }

  /** The damping η along an axis, times the velocity. */
  #damping(axis: 0 | 1): readonly number[] {
    const { border } = this;
    const strongest = (1.5 * Math.log(1 / LEFT)) / (border * this.spacing[axis]);
    return Array.from({ length: this.shape[axis] }, (_, i) => {
      const inwards = Math.min(i, this.shape[axis] - 1 - i);
      return inwards < border ? strongest * (1 - inwards / border) ** 2 : 0;
    });
  }

  /** The longest stable time step for waves of a velocity. */
  #longestStep(velocity: number): number {
    // −Δ is largest on a checkerboard, where all weights of the Laplacian add up.
    const sum = laplacianWeights.reduce((all, w, i) => all + (i === 0 ? 1 : 2) * Math.abs(w), 0);
    const largest = sum * (1 / this.spacing[0] ** 2 + 1 / this.spacing[1] ** 2);
    return 2 / (velocity * Math.sqrt(largest));
  }
}

/** The mean of the numbers of a sample. */
function mean(values: Float64Array, sample: number, size: number): number {
  return values.subarray(sample * size, (sample + 1) * size).reduce((a, b) => a + b, 0) / size;
}

/** A whole number where x is one to rounding: 2.7 lies in the last of ten cells of 0.3, (10 − 1) · 0.3 < 2.7. */
function nearlyWhole(x: number): number {
  const whole = Math.round(x);
  return Math.abs(x - whole) < 1e-9 ? whole : x;
}

function clamp(index: number, size: number): number {
  return Math.min(Math.max(index, 0), size - 1);
}

/** To four digits, never up: a number to pass on. */
function roundDown(x: number): number {
  const digit = 10 ** (Math.floor(Math.log10(x)) - 3);
  return Number((Math.floor(x / digit) * digit).toPrecision(4));
}
