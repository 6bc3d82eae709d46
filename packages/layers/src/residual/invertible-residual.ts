/**
 * Invertible residual networks (Behrmann et al., "Invertible residual networks", 2019) and residual flows (Chen
 * et al., "Residual flows for invertible generative modeling", 2019), a layer each. Mathematics:
 * docs/math/residual/invertible-residual.md
 */
import {
  add,
  formatValue,
  RandomStream,
  requireAtLeast,
  type Shape,
  sub,
  type Tensor,
  ValueError,
} from '@invnet/tensor';
import { requireModuleOptions, requireRepeats } from '../core/checks.ts';
import type { Tangent } from '../core/tangent.ts';
import { evaluation } from '../core/tape.ts';
import { activeStep } from '../core/training-step.ts';
import { Counter } from '../tree/buffer.ts';
import { epsilonOf, fixedPoint } from './fixed-point.ts';
import { type BlockAt, LipschitzBlock } from './lipschitz-block.ts';
import {
  type FoundLogDeterminant,
  type LogDeterminant,
  type LogDeterminantOptions,
  logDeterminantBy,
  logDeterminantOptions,
  weightedPairings,
} from './log-determinant.ts';
import { type Point, SolvedBijection } from './solved-bijection.ts';

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

/** With the block at x, and what is known of the log-determinant. */
interface ResidualPoint extends Point {
  readonly block: BlockAt;
  found(): FoundLogDeterminant;
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
export class InvertibleResidual extends SolvedBijection<ResidualPoint> {
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

  protected at(x: Tensor): ResidualPoint {
    const block = this.block.evaluate().at(x);
    let known: FoundLogDeterminant | undefined;
    const found = () => {
      known ??= this.#logdetAt(block);
      return known;
    };
    return { x, y: add(x, block.y), block, found, logdet: () => found().logdet };
  }

  protected root(y: Tensor): Tensor {
    const block = this.block.evaluate();
    return this.#iterate((x) => sub(y, block.apply(x)), y);
  }

  protected pull(p: ResidualPoint, dy: Tensor | undefined, dlogdet: Tensor | undefined): Tensor {
    const towardsX = p.block.gradient(dy, dlogdet && weightedPairings(p.found(), dlogdet));
    return dy ? add(dy, towardsX) : towardsX;
  }

  protected push({ block }: ResidualPoint, tangent: Tangent): Tensor | undefined {
    const moved = block.tangent(tangent);
    return moved && tangent.x ? add(tangent.x, moved) : moved;
  }

  protected pushLogdet({ block, found }: ResidualPoint, tangent: Tangent): Tensor {
    return block.bendAlong(tangent, found().pairings());
  }

  protected solve({ block }: ResidualPoint, v: Tensor): Tensor {
    return this.#iterate((d) => sub(v, block.push(d)), v);
  }

  protected solveTransposed({ block }: ResidualPoint, v: Tensor): Tensor {
    return this.#iterate((d) => sub(v, block.pull(d)), v);
  }

  protected override applyShape(x: Shape): Shape {
    return this.block.outputShape(x);
  }

  /** z = step(z), from z = start on. */
  #iterate(step: (z: Tensor) => Tensor, start: Tensor): Tensor {
    return fixedPoint('InvertibleResidual', step, start, {
      tolerance: this.#tolerance,
      maxIterations: this.#maxIterations,
      lipschitz: this.block.lipschitz,
    });
  }

  /** As an evaluation of the block, so that a forward can keep it for its backward. */
  #logdetAt(at: BlockAt): FoundLogDeterminant {
    const { draws, training } = this;
    const { shape } = at.x;
    const { y: logdet, saved } = evaluation(this.block, at.x, undefined, () => {
      if (draws && training) activeStep()?.noteDraw(draws);
      const found = this.#logdet.at(at, draws?.value ?? 0, training);
      const dispose = () => {
        for (const t of [found.logdet, ...found.tensors]) t.dispose();
      };
      return {
        y: found.logdet,
        saved: {
          kept: found,
          input: shape,
          shape: found.logdet.shape,
          context: undefined,
          dispose,
        },
      };
    });
    return { ...saved.kept, logdet };
  }
}
