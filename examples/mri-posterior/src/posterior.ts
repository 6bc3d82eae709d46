/** Samples of posteriors, case by case: what all checks look at. */
import type { Flow } from '@invnet/flows';
import {
  affine,
  concat,
  type RandomStream,
  slice,
  sqrt,
  square,
  sub,
  sumPerSample,
  type Tensor,
  tidy,
} from '@invnet/tensor';
import { fromCoordinates } from './coordinates.ts';
import type { Channels, InverseProblem, Observations } from './problem.ts';

/** A truth with samples of its posterior, as numbers. */
export interface PosteriorCase {
  /** x, D numbers. */
  readonly truth: Float32Array;
  /** Aᵀd, D numbers. */
  readonly zeroFilled: Float32Array;
  /** P samples of D numbers each. */
  readonly samples: readonly Float32Array[];
  /** Their mean. */
  readonly mean: Float32Array;
  /** Their deviation, with P − 1 in the divisor. */
  readonly deviation: Float32Array;
  /** ‖A s − d‖/(σ√m) of each sample. */
  readonly misfits: readonly number[];
}

/** What to sample, and of what. */
export interface PosteriorOptions {
  readonly flow: Flow;
  readonly problem: InverseProblem;
  readonly observations: Observations;
  /** Samples of each case, P. */
  readonly count: number;
  /** What the samples of a case are drawn from. */
  readonly random: (index: number) => RandomStream;
}

/** One case after another, each with `count` samples. */
export async function* posteriorCases(options: PosteriorOptions): AsyncGenerator<PosteriorCase> {
  const { x, data, operator } = options.observations;
  using adjoint = operator.adjoint(data);
  const truths = partsOf(await x.data(), x.shape[0]!);
  const zeroFilled = partsOf(await adjoint.data(), x.shape[0]!);
  for (const [i, truth] of truths.entries()) {
    const tensors = samplesOf(options, i);
    using x = tensors.x;
    using misfit = tensors.misfit;
    const samples = partsOf(await x.data(), options.count);
    const misfits = [...(await misfit.data())];
    yield { truth, zeroFilled: zeroFilled[i]!, samples, ...moments(samples), misfits };
  }
}

function samplesOf(options: PosteriorOptions, i: number): { x: Tensor; misfit: Tensor } {
  const { flow, problem, observations, count, random } = options;
  const { noise, spread, observed } = problem;
  return tidy(() => {
    using operator = observations.operatorOf(i);
    const measurement = { data: repeated(observations.data, i, count), operator };
    const v = flow.sample({
      shape: [count, ...observations.x.shape.slice(1)],
      seed: random(i),
      context: repeated(observations.context, i, count),
    });
    const x = fromCoordinates(v, measurement, spread / noise);
    const squares = sumPerSample(square(sub(operator.forward(x), measurement.data)));
    return { x, misfit: sqrt(affine(squares, 1 / (observed * noise ** 2))) };
  });
}

/** One sample of a batch, `count` times. */
export function repeated(batch: Tensor, index: number, count: number): Tensor {
  return tidy(() => {
    const one = slice(batch, 0, index, 1);
    return concat(
      Array.from({ length: count }, () => one),
      0,
    );
  });
}

/** An array cut into equal parts, copied. */
function partsOf(values: ArrayLike<number>, count: number): Float32Array[] {
  const size = values.length / count;
  const all = Float32Array.from(values);
  return Array.from({ length: count }, (_, i) => all.slice(i * size, (i + 1) * size));
}

/** Mean and deviation of samples, number by number. */
export function moments(samples: readonly Float32Array[]) {
  const size = samples[0]!.length;
  const mean = new Float32Array(size);
  const deviation = new Float32Array(size);
  for (let j = 0; j < size; j++) {
    let sum = 0;
    for (const s of samples) sum += s[j]!;
    const middle = sum / samples.length;
    let squares = 0;
    for (const s of samples) squares += (s[j]! - middle) ** 2;
    mean[j] = middle;
    deviation[j] = Math.sqrt(squares / (samples.length - 1));
  }
  return { mean, deviation };
}

/** √(re² + im²) of complex images; real ones as they are. */
export function magnitude(image: Float32Array, { channels }: Channels): Float32Array {
  if (channels === 1) return image;
  const pixels = image.length / 2;
  return Float32Array.from({ length: pixels }, (_, i) => Math.hypot(image[i]!, image[i + pixels]!));
}
