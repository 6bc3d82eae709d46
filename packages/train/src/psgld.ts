/**
 * Preconditioned stochastic gradient Langevin dynamics (Li, Chen, Carlson and Carin, "Preconditioned stochastic gradient
 * Langevin dynamics for deep neural networks", 2016). Mathematics: docs/math/train/psgld.md
 *
 * Left out: Γ, the divergence of the preconditioner, as the paper leaves it out, since it is small where gradients change
 * slowly.
 */
import type { Parameter } from '@invnet/layers';
import {
  accumulate,
  affine,
  assign,
  div,
  formatShape,
  mul,
  RandomStream,
  reciprocal,
  requireAtLeast,
  requireBetween,
  requireOptions,
  requireWhole,
  sqrt,
  square,
  ValueError,
} from '@invnet/tensor';
import { CheckpointError } from './array-checks.ts';
import type { OptimizerState, StepOptions } from './optimizer.ts';
import {
  type Moved,
  RememberingOptimizer,
  requireNoRate,
  requireState,
} from './remembering-optimizer.ts';

/** The constants of `Psgld`. */
export interface PsgldOptions {
  /** How many rows the data have: the loss is the mean over a batch of them, the posterior is of all. */
  readonly rows: number;
  /** Of the noise. */
  readonly seed: number;
  /** α, the decay of the mean of squared gradients, in [0, 1). Default: 0.99. */
  readonly decay?: number;
  /** λ, which keeps the divisor away from 0. Default: 1e-5. */
  readonly epsilon?: number;
}

/**
 * Draws parameters from their posterior, where the loss is the mean of −log p over a batch: V ← αV + (1 − α)g²,
 * G = 1/(λ + √V), and p ← p − ½ rate · N G ⊙ g + √(rate · G) ⊙ ξ for N rows and standard normal ξ. Parameters along the way, at
 * a low rate, are samples of the posterior under a flat prior. V takes a parameter's memory once.
 *
 * The noise follows from the seed and the updates before, which its state holds, so that a run goes on bit for bit.
 *
 * @example
 * const optimizer = new Psgld({ rows: 10_000, seed: 1 });
 * optimizer.step(network.parameters, { learningRate: 1e-6 });
 */
export class Psgld extends RememberingOptimizer<'v'> {
  readonly name = 'psgld';
  readonly rows: number;
  readonly decay: number;
  readonly epsilon: number;
  readonly seed: number;
  #random: RandomStream;

  /** @throws ValueError for constants out of range, or a learning rate, which goes with each step. */
  constructor(options: PsgldOptions) {
    super('Psgld', ['v']);
    requireNoRate('Psgld', options);
    requireOptions('Psgld', options, ['rows', 'seed', 'decay', 'epsilon']);
    const { rows, seed, decay = 0.99, epsilon = 1e-5 } = options;
    requireWhole('Psgld', 'rows', rows, 1);
    requireAtLeast('Psgld', 'decay', decay, 0);
    requireBetween('Psgld', 'decay', decay, -1, 1);
    requireBetween('Psgld', 'epsilon', epsilon, 0);
    this.#random = new RandomStream(seed);
    this.seed = seed;
    this.rows = rows;
    this.decay = decay;
    this.epsilon = epsilon;
  }

  protected move(
    moved: readonly Moved<'v'>[],
    { learningRate, gradientScale }: Required<StepOptions>,
  ): void {
    if (learningRate < 0) {
      throw new ValueError(
        `Psgld.step: learningRate is ${learningRate}; expected none below 0, for its root is the noise's.`,
      );
    }
    const { rows, decay, epsilon } = this;
    const random = RandomStream.from(this.#random.state);
    // All is computed before anything is moved, so that an error moves nothing.
    const next = moved.map(({ p, grad, memory }) => {
      const v = affine(memory.v, decay);
      accumulate(v, square(grad), (1 - decay) * gradientScale ** 2);
      const divisor = affine(sqrt(v), 1, epsilon);
      const drift = div(grad, divisor);
      const noise = mul(random.normal(p.shape), sqrt(reciprocal(divisor)));
      return { v, drift, noise };
    });
    moved.forEach(({ p, memory }, i) => {
      const { v, drift, noise } = next[i]!;
      accumulate(p.data, drift, -0.5 * learningRate * rows * gradientScale);
      accumulate(p.data, noise, Math.sqrt(learningRate));
      assign(memory.v, v);
    });
    this.#random = random;
  }

  /** For each parameter that was updated `v/<name>` and the count `step/<name>`, and `random`, where the noise stands. */
  override async state(parameters: readonly Parameter[]): Promise<OptimizerState> {
    const { seed, block } = this.#random.state;
    const random = { shape: [2], data: Float64Array.of(seed, block) };
    return new Map(await super.state(parameters)).set('random', random);
  }

  override load(state: OptimizerState, parameters: readonly Parameter[]): void {
    requireState('Psgld', state);
    const random = state.get('random');
    if (random?.data.length !== 2) {
      throw new CheckpointError(
        `Psgld: the state has ${random ? `'random' of shape ${formatShape(random.shape)}` : "no 'random'"}; expected ` +
          'where the noise stands, two numbers.',
      );
    }
    const [seed, block] = random.data;
    const stream = RandomStream.from({ seed: seed!, block: block! });
    super.load(new Map([...state].filter(([name]) => name !== 'random')), parameters);
    this.#random = stream;
  }
}
