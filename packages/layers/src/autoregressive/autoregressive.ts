/**
 * Autoregressive maps of vectors: each channel moves by what those before it say. Forward goes in one pass, as
 * the density of a masked autoregressive flow does; the inverse takes one channel after another. `reverse` makes
 * the inverse autoregressive flow of it.
 * Mathematics: docs/math/autoregressive/autoregressive.md
 */
import {
  add,
  concat,
  formatValue,
  type Shape,
  slice,
  type Tensor,
  ValueError,
} from '@invnet/tensor';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import { requireModuleOptions } from '../core/checks.ts';
import { evaluate } from '../core/conditioner.ts';
import { sumOfTerms } from '../core/idioms.ts';
import { addOwned } from '../core/sums.ts';
import type { Tangent } from '../core/tangent.ts';
import { AffineTransformer } from '../transformers/affine-transformer.ts';
import { requirePointwise, type Transformer } from '../transformers/transformer.ts';
import { Construction } from '../tree/construction.ts';
import { MadeBlock } from './made-block.ts';
import { type MadeOptions, madeOptions } from './made-options.ts';
import type { Range } from './masks.ts';

/** Options of `Autoregressive`: the channels and those of its `MadeBlock`, or a `MadeBlock` itself. */
export interface AutoregressiveOptions extends MadeOptions {
  /** Needed unless there is a conditioner. */
  readonly channels?: number;
  /** Moves a channel by the parameters that it gets. Default: `new AffineTransformer()`. */
  readonly transformer?: Transformer;
  /** Gives `transformer.size` numbers for each channel. Default: a `MadeBlock` of the other options. */
  readonly conditioner?: MadeBlock;
}

/**
 * yᵢ = T(xᵢ; pᵢ) on vectors [N, D], with parameters pᵢ of those channels that stand before channel i in an order,
 * or are its parents in a graph, and of a context (Papamakarios, Pavlakou and Murray, "Masked autoregressive flow
 * for density estimation", 2017; Kingma et al., "Improved variational inference with inverse autoregressive
 * flow", 2016). The Jacobian is triangular: logdet = Σ log T′(xᵢ; pᵢ).
 *
 * In both directions, and in their derivatives, each unit of the conditioner is computed once, or twice: `inverse`
 * does so as soon as the channels are known that a unit sees. So it does as much arithmetic as `forward`, in many
 * small pieces, and needs as much memory. A backward whose forward kept its input (`keeping`) has no need of that.
 *
 * @example
 * const layer = new Autoregressive({ channels: 3, hidden: [32, 32] });
 * const { y, logdet } = layer.forward(x); // x [N, 3]
 * const inverseFlow = reverse(layer); // fast to sample from, slow to tell the density of other points
 */
export class Autoregressive extends Bijection {
  static readonly type: string = 'Autoregressive';
  readonly transformer: Transformer;
  readonly conditioner: MadeBlock;

  /**
   * @throws ValueError where a conditioner comes with options of one, or gives another number of parameters than
   * the transformer takes, and as `MadeBlock`.
   */
  constructor(options: AutoregressiveOptions) {
    super();
    using building = new Construction();
    const own = ['transformer', 'conditioner'];
    requireModuleOptions('Autoregressive', options, ['channels', ...own, ...madeOptions]);
    const { transformer = new AffineTransformer(), conditioner, ...rest } = options;
    this.transformer = requirePointwise('Autoregressive', 'transformer', transformer);
    this.conditioner = conditionerOf(transformer.size, conditioner, rest);
    building.complete();
  }

  get options() {
    return { transformer: this.transformer, conditioner: this.conditioner };
  }

  /** The inverse takes one channel after another. */
  override get keepsInput(): boolean {
    return true;
  }

  protected apply(x: Tensor, context?: Tensor) {
    return this.transformer.apply(x, evaluate(this.conditioner, x, context));
  }

  protected invert(y: Tensor, context?: Tensor) {
    const { x, logdet } = this.#solve(this.conditioner.sort(y), context);
    return { x: this.conditioner.unsort(x), logdet };
  }

  protected applyBackward(y: Tensor, dy: Tensor, options: BackwardOptions, kept?: Tensor) {
    const { conditioner, transformer } = this;
    const { dlogdet, context } = options;
    if (kept) return this.#backTo(kept, y, dy, options);
    const ys = conditioner.sort(y);
    const { x, p, saved } = this.#solve(ys, context);
    const own = transformer.applyBackward(ys, p, conditioner.sort(dy), dlogdet);
    const { dx, ...rest } = conditioner.differentiate(own.dp, saved);
    return { x: conditioner.unsort(x), dx: conditioner.unsort(add(own.dx, dx)), ...rest };
  }

  protected invertBackward(x: Tensor, dx: Tensor, { dlogdet, context }: BackwardOptions) {
    const { conditioner, transformer } = this;
    const [xs, dxs] = [conditioner.sort(x), conditioner.sort(dx)];
    const { p, saved } = conditioner.evaluate(xs, context);
    const parts: { readonly y: Tensor; readonly dy: Tensor }[] = [];
    const rest = conditioner.solveBack(saved, (later, channels) => {
      const own = part(xs, channels);
      const total = sumOfTerms(own, part(dxs, channels), later);
      const few = conditioner.resultsOf(p, channels);
      const { dp, ...moved } = transformer.invertBackward(own, few, total, dlogdet);
      parts.unshift(moved);
      return dp;
    });
    const whole = (name: 'y' | 'dy') =>
      conditioner.unsort(
        concat(
          parts.map((moved) => moved[name]),
          1,
        ),
      );
    return { y: whole('y'), dy: whole('dy'), ...rest };
  }

  protected applyTangent(x: Tensor, tangent: Tangent, context?: Tensor) {
    const { y: p, dy: dp } = this.conditioner.jvp(x, tangent, context);
    return this.transformer.applyTangent(x, p, tangent.x, dp);
  }

  protected invertTangent(y: Tensor, tangent: Tangent, context?: Tensor) {
    const { conditioner, transformer } = this;
    const ys = conditioner.sort(y);
    const dys = tangent.x && conditioner.sort(tangent.x);
    const { p, saved } = this.#solve(ys, context);
    const { dp } = conditioner.solveTangent(saved, tangent, (few, channels) => {
      const dy = dys && part(dys, channels);
      const own = conditioner.resultsOf(p, channels);
      return transformer.invertTangent(part(ys, channels), own, dy, few).dx;
    });
    const { x, dx, ...logs } = transformer.invertTangent(ys, p, dys, dp);
    return { x: conditioner.unsort(x), dx: conditioner.unsort(dx), ...logs };
  }

  protected override applyShape(x: Shape): Shape {
    requireMade(this.conditioner, this.transformer.size).outputShape(x);
    return x;
  }

  /** As `applyBackward`, to an x that was kept. */
  #backTo(x: Tensor, y: Tensor, dy: Tensor, { dlogdet, context }: BackwardOptions) {
    const { y: p, saved } = this.conditioner.forward(x, context);
    const own = this.transformer.applyBackward(y, p, dy, dlogdet);
    const { dx, ...rest } = this.conditioner.backward(own.dp, saved);
    saved.dispose();
    return { x, dx: add(own.dx, dx), ...rest };
  }

  /** The inverse, for channels in the order of evaluation. */
  #solve(ys: Tensor, context: Tensor | undefined) {
    let logdet: Tensor | undefined;
    const { p, saved } = this.conditioner.solve(ys.shape[0]!, context, (few, channels) => {
      const moved = this.transformer.invert(part(ys, channels), few);
      logdet = addOwned(logdet, moved.logdet);
      return moved.x;
    });
    return { x: saved.inputs[0]!, p, saved, logdet };
  }
}

function conditionerOf(
  size: number,
  given: MadeBlock | undefined,
  { channels, ...rest }: Omit<AutoregressiveOptions, 'transformer' | 'conditioner'>,
): MadeBlock {
  if (given === undefined) {
    if (channels !== undefined) return new MadeBlock({ ...rest, channels, size });
    throw new ValueError('Autoregressive: expected channels, or a conditioner.');
  }
  const { random: _, ...more } = rest;
  const [first] = Object.keys({ ...more, ...(channels !== undefined && { channels }) });
  if (first !== undefined) {
    throw new ValueError(
      `Autoregressive: got ${first} beside a conditioner, which has its own; expected one of them.`,
    );
  }
  return requireMade(given, size);
}

/** @throws ValueError unless it is a `MadeBlock` with as many numbers for each channel: `replacePart` may put in others. */
function requireMade(conditioner: MadeBlock, size: number): MadeBlock {
  if (!(conditioner instanceof MadeBlock)) {
    throw new ValueError(
      `Autoregressive: the conditioner is ${formatValue(conditioner)}; expected a MadeBlock.`,
    );
  }
  if (conditioner.size === size) return conditioner;
  throw new ValueError(
    `Autoregressive: the conditioner gives ${conditioner.size} numbers for each channel; expected ${size}, as ` +
      'the transformer takes.',
  );
}

function part(x: Tensor, { start, length }: Range): Tensor {
  return slice(x, 1, start, length);
}
