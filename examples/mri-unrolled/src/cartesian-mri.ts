/** Magnetic resonance imaging from a part of the lines of k-space. */
import { PhaseEncodedFourier } from '@invnet/operators';
import { add, mul, type RandomStream, sub, type Tensor, tensor, tidy } from '@invnet/tensor';
import { acquire, withPhase } from 'brain-mri';
import { type Modality, reciprocalMaxima, type Scan } from './modality.ts';

/** How a scan goes, and how large its images are. */
export interface CartesianMriOptions {
  /** Height and width. */
  readonly size: number;
  /** One of so many lines is taken. */
  readonly acceleration: number;
}

/** Share of the lines, around the centre, that all scans take: fewer, where fewer lines are taken in all. */
const center = (acceleration: number) => 0.32 / acceleration;
/** Deviation of the noise of each part, where the brightest pixel is 1. */
const noise = 0.005;

/** One coil, a smooth random phase, random lines and noise; the lines that were measured are put back in. */
export class CartesianMri implements Modality {
  readonly channels = 2;
  readonly scans: string;
  readonly classical = 'zero-filled';
  readonly operator: PhaseEncodedFourier;
  readonly #acceleration: number;

  constructor({ size, acceleration }: CartesianMriOptions) {
    const lines = Array.from(
      { length: Math.ceil(size / acceleration) },
      (_, i) => i * acceleration,
    );
    this.operator = new PhaseEncodedFourier({ size: [size, size], lines });
    this.scans = `one of ${acceleration} lines of k-space`;
    this.#acceleration = acceleration;
  }

  async scan(magnitudes: Tensor, random: RandomStream): Promise<Scan> {
    const { operator } = this;
    const acceleration = this.#acceleration;
    using images = await withPhase(magnitudes, random);
    const protocol = { acceleration, center: center(acceleration), noise };
    using data = acquire(images, { ...protocol, operator, random });
    const { lines } = operator;
    using start = operator.adjoint(data);
    const factors = await reciprocalMaxima(start);
    return tidy(() => {
      const factor = tensor(factors, [factors.length, 1, 1, 1]);
      return {
        truth: mul(images, factor),
        data: mul(data, factor),
        start: mul(start, factor),
        prepare: () => {
          if (operator.lines !== lines) operator.lines = lines;
        },
      };
    });
  }

  /** u + Aᵀ(d − A u): rows of A are orthonormal. */
  consistent(images: Tensor, data: Tensor): Tensor {
    const { operator } = this;
    return tidy(() => add(images, operator.adjoint(sub(data, operator.forward(images)))));
  }

  /** (I − AᵀA) g */
  throughConsistent(gradient: Tensor): Tensor {
    const { operator } = this;
    return tidy(() => sub(gradient, operator.adjoint(operator.forward(gradient))));
  }
}
