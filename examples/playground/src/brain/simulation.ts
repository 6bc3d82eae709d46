/** A scan of a slice, simulated as those were that the model was trained on. Runs in the worker. */
import { cartesianLines, PhaseEncodedFourier } from '@invnet/operators';
import { add, concat, RandomStream, type Tensor, tensor, tidy } from '@invnet/tensor';
import { withPhase } from 'brain-mri/acquisition';
import { complexPsnr, magnitudes } from './complex.ts';
import { type LineChoice, type Scan, size } from './protocol.ts';
import type { Shipped } from './shipped.ts';

/** What a scan was of and what it gave. Whoever has it frees it. */
export interface Simulation {
  readonly scan: Scan;
  /** The complex image, [2, size, size]. */
  readonly truth: Float32Array;
  readonly operator: PhaseEncodedFourier;
  readonly data: Tensor;
  /** What the flow sees: the zero-filled image, and which lines were taken. */
  readonly context: Tensor;
}

const center = 0.08;

/** Scans slice number `slice`; the same slice has the same phase each time. */
export async function simulate(
  shipped: Shipped,
  { slice, choice, seed }: { slice: number; choice: LineChoice; seed: number },
): Promise<Simulation> {
  const { slices, noise, imageNoise } = shipped;
  const ofSlice = new RandomStream(slice);
  // A stream apart from that of the samples.
  const random = new RandomStream(seed + 2 ** 32);
  using magnitude = tensor(slices[slice]!, [1, size, size]);
  using smooth = await withPhase(magnitude, ofSlice);
  using image = add(smooth, ofSlice.normal(smooth.shape, imageNoise));
  const lines =
    'lines' in choice
      ? [...choice.lines]
      : [...cartesianLines({ size, acceleration: choice.acceleration, center, random })];
  const operator = new PhaseEncodedFourier({ size: [size, size], lines });
  using whole = new PhaseEncodedFourier({ size: [size, size], lines: [...Array(size).keys()] });
  const { data, context, kSpace } = tidy(() => {
    const exact = operator.forward(image);
    const measured = add(exact, random.normal(exact.shape, noise));
    const seen = concat([operator.adjoint(measured), planeOf(lines)], 1);
    return { data: measured, context: seen, kSpace: whole.forward(image) };
  });
  using frequencies = kSpace;
  const truth = Float32Array.from(await image.data());
  const zeroFilled = Float32Array.from(await context.data()).subarray(0, truth.length);
  const scan = {
    lines,
    truth: magnitudes(truth),
    zeroFilled: magnitudes(zeroFilled),
    zeroFilledPsnr: complexPsnr(zeroFilled, truth),
    kSpace: magnitudes(await frequencies.data()),
  };
  return { scan, truth, operator, data, context };
}

export function disposeSimulation({ operator, data, context }: Simulation): void {
  for (const owned of [operator, data, context]) owned.dispose();
}

/** 1 in the rows of lines that were taken, 0 elsewhere, [1, 1, size, size]. */
function planeOf(lines: readonly number[]): Tensor {
  const values = new Float32Array(size * size);
  for (const line of lines) values.fill(1, line * size, (line + 1) * size);
  return tensor(values, [1, 1, size, size]);
}
