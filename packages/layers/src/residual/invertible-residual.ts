/**
 * Invertible residual networks (Behrmann et al., "Invertible residual networks", 2019) and residual flows (Chen
 * et al., "Residual flows for invertible generative modeling", 2019), a layer each. Mathematics:
 * docs/math/residual/invertible-residual.md
 */
import {
  add,
  formatValue,
  mul,
  neg,
  RandomStream,
  requireAtLeast,
  type Shape,
  sub,
  type Tensor,
  ValueError,
} from '@invnet/tensor';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import { requireModuleOptions, requireRepeats } from '../core/checks.ts';
import { perSample } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import { activeStep } from '../core/training-step.ts';
import { Counter } from '../tree/buffer.ts';
import { epsilonOf, fixedPoint } from './fixed-point.ts';
import {
  type BlockAt,
  type EvaluatedBlock,
  LipschitzBlock,
  type Pairing,
} from './lipschitz-block.ts';
import {
  type FoundLogDeterminant,
  type LogDeterminant,
  type LogDeterminantOptions,
  logDeterminantBy,
  logDeterminantOptions,
} from './log-determinant.ts';

/** Options of `InvertibleResidual`. */
export interface InvertibleResidualOptions extends LogDeterminantOptions {
  /** g, as by `lipschitzBlock`. */
  readonly block: LipschitzBlock;
  /**
   * The inverse ends when a step changes no sample by more than this, relative to its largest number. Default:
   * eight units in the last place, 10⁻⁶ in float32 and 2·10⁻¹⁵ in float64.
   */
  readonly tolerance?: number;
  /** More iterations than this are an error. Default: 1000. */
  readonly maxIterations?: number;
  /** Draws the seed, if none is given. Default: seed 0. */
  readonly random?: RandomStream;
}

/**
 * y = x + g(x) for a block g of Lipschitz constant below 1; logdet = log det(I + ∂g/∂x), exactly or by an
 * estimator, see `LogDeterminantOptions`. The inverse is the fixed point of x = y − g(x).
 *
 * An estimate depends on draws, of which `seed` and the buffer `draws` tell the numbers: equal calls give equal
 * results, in both directions, and each training step draws anew. Its gradient is the estimate, by Neumann's series, of
 * the log-determinant's gradient, and so that of the estimate itself only in the mean.
 *
 * @example
 * const block = lipschitzBlock({ channels: 2, hidden: [64, 64], random });
 * const layer = new InvertibleResidual({ block });
 * const large = new InvertibleResidual({
 *   block: lipschitzBlock({ channels: 3, hidden: [64, 64], size: [32, 32], random }),
 *   logdet: 'roulette',
 *   random,
 * });
 */
export class InvertibleResidual extends Bijection {
  static readonly type: string = 'InvertibleResidual';
  readonly block: LipschitzBlock;
  /** How many training steps have drawn noise; none where the log-determinant is exact. */
  readonly draws: Counter | undefined;
  readonly #tolerance: number | undefined;
  readonly #maxIterations: number;
  readonly #logdet: LogDeterminant;

  /**
   * @throws ValueError for what is no block, options out of range, and a tolerance below what the numbers of the
   * block can tell apart.
   */
  constructor(options: InvertibleResidualOptions) {
    super();
    requireModuleOptions('InvertibleResidual', options, [
      'block',
      'tolerance',
      'maxIterations',
      ...logDeterminantOptions,
    ]);
    const { block, tolerance, maxIterations = 1000, random = new RandomStream(0) } = options;
    if (!(block instanceof LipschitzBlock)) {
      throw new ValueError(
        `InvertibleResidual: block is ${formatValue(block)}; expected a LipschitzBlock, as by lipschitzBlock().`,
      );
    }
    const { dtype } = block.parameters[0]!.data;
    if (tolerance !== undefined) {
      const least = epsilonOf(dtype);
      requireAtLeast('InvertibleResidual', `tolerance in ${dtype}`, tolerance, least);
    }
    requireRepeats('InvertibleResidual', 'maxIterations', maxIterations);
    this.block = block;
    this.#tolerance = tolerance;
    this.#maxIterations = maxIterations;
    this.#logdet = logDeterminantBy('InvertibleResidual', options, random);
    this.draws = this.#logdet.random ? new Counter('draws') : undefined;
  }

  get options() {
    const tolerance = this.#tolerance;
    return {
      block: this.block,
      ...this.#logdet.options,
      ...(tolerance !== undefined && { tolerance }),
      maxIterations: this.#maxIterations,
    };
  }

  /** The inverse iterates. */
  override get keepsInput(): boolean {
    return true;
  }

  protected apply(x: Tensor) {
    const at = this.block.evaluate().at(x);
    return { y: add(x, at.y), logdet: this.#logdetAt(at).logdet };
  }

  protected invert(y: Tensor) {
    const at = this.#solve(y);
    return { x: at.x, logdet: neg(this.#logdetAt(at).logdet) };
  }

  protected applyBackward(y: Tensor, dy: Tensor, { dlogdet }: BackwardOptions, kept?: Tensor) {
    const at = kept ? this.block.evaluate().at(kept) : this.#solve(y);
    const bends = dlogdet && weighted(this.#logdetAt(at), dlogdet);
    return { x: at.x, dx: add(dy, at.gradient(dy, bends)) };
  }

  protected invertBackward(x: Tensor, dx: Tensor, { dlogdet }: BackwardOptions) {
    const at = this.block.evaluate().at(x);
    const bends = dlogdet && weighted(this.#logdetAt(at), neg(dlogdet));
    const towardsX = bends ? add(dx, at.gradient(undefined, bends)) : dx;
    const dy = this.#iterate((d) => sub(towardsX, at.pull(d)), towardsX);
    at.gradient(neg(dy));
    return { y: add(x, at.y), dy };
  }

  protected applyTangent(x: Tensor, tangent: Tangent) {
    const at = this.block.evaluate().at(x);
    const { logdet, pairings } = this.#logdetAt(at);
    const moved = at.tangent(tangent);
    const dy = moved && tangent.x ? add(tangent.x, moved) : moved;
    return { y: add(x, at.y), dy, logdet, dlogdet: at.bendAlong(tangent, pairings()) };
  }

  protected invertTangent(y: Tensor, { x: dy, parameters }: Tangent) {
    const at = this.#solve(y);
    const { logdet, pairings } = this.#logdetAt(at);
    const moved = at.tangent({ parameters });
    const towardsY = moved ? (dy ? sub(dy, moved) : neg(moved)) : dy;
    const dx = towardsY && this.#iterate((d) => sub(towardsY, at.push(d)), towardsY);
    const dlogdet = neg(at.bendAlong({ x: dx, parameters }, pairings()));
    return { x: at.x, dx, logdet: neg(logdet), dlogdet };
  }

  protected override applyShape(x: Shape): Shape {
    return this.block.outputShape(x);
  }

  /** The block at x = f⁻¹(y). */
  #solve(y: Tensor): BlockAt {
    const block: EvaluatedBlock = this.block.evaluate();
    return block.at(this.#iterate((x) => sub(y, block.apply(x)), y));
  }

  /** z = step(z), from z = start on. */
  #iterate(step: (z: Tensor) => Tensor, start: Tensor): Tensor {
    return fixedPoint('InvertibleResidual', step, start, {
      tolerance: this.#tolerance,
      maxIterations: this.#maxIterations,
      lipschitz: this.block.lipschitz,
    });
  }

  #logdetAt(at: BlockAt): FoundLogDeterminant {
    const { draws, training } = this;
    if (draws && training) activeStep()?.noteDraw(draws);
    return this.#logdet.at(at, draws?.value ?? 0, training);
  }
}

/** The pairings of a log-determinant, times a number per sample. */
function* weighted(found: FoundLogDeterminant, weights: Tensor): Generator<Pairing> {
  for (const { v, w } of found.pairings()) {
    const scaled = mul(w, perSample(weights, w));
    yield { v, w: scaled };
    scaled.dispose();
  }
}
