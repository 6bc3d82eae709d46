/**
 * The contract of base distributions (docs/contract.md): densities with gradients, and samples by seed. Here
 * arguments are checked and memory is freed, once for all; what a distribution computes is left to it.
 */
import { asMethod, Module } from '@invnet/layers';
import {
  add,
  checkShape,
  clone,
  formatShape,
  formatValue,
  type RandomStream,
  requireAtLeast,
  requireOptions,
  requireStream,
  requireTensor,
  type Shape,
  ShapeError,
  sum,
  Tensor,
  ValueError,
  zeros,
} from '@invnet/tensor';

/** How a base distribution is sampled. */
export interface BaseSampleOptions {
  /** Draws the samples. */
  readonly random: RandomStream;
  /** Scales the deviation; below 1, samples lie closer to the mode. Default: 1. */
  readonly temperature?: number | undefined;
  /** One entry per sample, or one for all. */
  readonly context?: Tensor | undefined;
}

/** What `draw` gets. */
export interface Draw {
  readonly random: RandomStream;
  readonly temperature: number;
  /** One entry per sample. */
  readonly context: Tensor | undefined;
}

/**
 * A distribution of z, with a density that can be differentiated and sampled; p(z | context) where it uses a
 * context.
 *
 * The methods check their arguments and free all but their results. A distribution gives the hooks `density`,
 * `densityBackward` and `draw`, and `drawBackward` where samples depend on parameters or a context in a
 * differentiable way.
 *
 * @throws ShapeError, ValueError from all methods, before any number is computed, for arguments of a wrong shape, and
 * for a context that is not used or missing.
 * @example
 * class StandardLaplace extends BaseDistribution {
 *   static readonly type = 'StandardLaplace';
 *   get options() { return {}; }
 *   protected density(z: Tensor) {
 *     return affine(sumPerSample(abs(z)), -1, (-Math.log(2) * z.size) / z.shape[0]!);
 *   }
 *   protected densityBackward(z: Tensor, dlogProb: Tensor) {
 *     return { logProb: this.density(z), dz: neg(mul(sign(z), perSample(dlogProb, z))) };
 *   }
 *   protected draw(shape: Shape, { random, temperature }: Draw) {
 *     const u = random.uniform(shape, -1, 1);
 *     return mul(sign(u), affine(log(affine(abs(u), -1, 1)), -temperature));
 *   }
 * }
 */
export abstract class BaseDistribution extends Module {
  /** log p(z), or log p(z | context), per sample in nats, shape [N]. */
  logProb(z: Tensor, context?: Tensor): Tensor {
    return asMethod(this, () => {
      const c = this.#checked('logProb', z, context);
      return made(this, 'density', this.density(z, c), [z.shape[0]!], [z, c]);
    });
  }

  /**
   * The gradients of Σ dlogProb · log p(z), for z and the context; adds to each parameter's grad. Gives log p(z) as
   * well, which it computes on its way.
   *
   * @param dlogProb ∂loss/∂ log p(z) per sample, shape [N]
   */
  backward(
    z: Tensor,
    dlogProb: Tensor,
    context?: Tensor,
  ): { logProb: Tensor; dz: Tensor; dcontext?: Tensor } {
    return asMethod(this, () => {
      const c = this.#checked('backward', z, context);
      requireLike(this, 'backward', 'dlogProb', dlogProb, [z.shape[0]!]);
      const { logProb, dz, dcontext } = this.densityBackward(z, dlogProb, c);
      const given = [z, dlogProb, c];
      return {
        logProb: made(this, 'densityBackward', logProb, [z.shape[0]!], given),
        dz: made(this, 'densityBackward', dz, z.shape, given),
        ...likeContext(dcontext, context, given),
      };
    });
  }

  /** Samples of the given shape, batch first. @throws ValueError for a temperature below 0. */
  sample(shape: Shape, options: BaseSampleOptions): Tensor {
    return asMethod(this, () => {
      const op = `${this.type}.sample`;
      checkShape(op, shape);
      if (shape.length === 0) {
        throw new ShapeError(`${op}: got shape []; expected samples along the first axis.`);
      }
      this.requireShape(shape);
      requireOptions(op, options, ['random', 'temperature', 'context']);
      const { temperature = 1 } = options;
      const random = requireStream(op, options.random);
      requireAtLeast(op, 'temperature', temperature, 0);
      const context = this.#contextFor(op, shape[0]!, options.context);
      return made(this, 'draw', this.draw(shape, { random, temperature, context }), shape, [
        context,
      ]);
    });
  }

  /**
   * For a loss of samples: from the samples z and ∂loss/∂z, the context's gradient; adds to each parameter's grad.
   * The noise is what it was, and z moves with the parameters (reparametrization).
   *
   * @param z what `sample` gave, at any temperature
   * @throws ValueError where samples depend on parameters in a way that has no such gradient.
   */
  backwardSample(z: Tensor, dz: Tensor, context?: Tensor): { dcontext?: Tensor } {
    return asMethod(this, () => {
      const c = this.#checked('backwardSample', z, context);
      requireLike(this, 'backwardSample', 'dz', dz, z.shape);
      return likeContext(this.drawBackward(z, dz, c).dcontext, context, [z, dz, c]);
    });
  }

  /** Does the density depend on a context? Default: false. */
  get usesContext(): boolean {
    return false;
  }

  /** log p(z) per sample, [N]. */
  protected abstract density(z: Tensor, context?: Tensor): Tensor;

  /** As `backward`. */
  protected abstract densityBackward(
    z: Tensor,
    dlogProb: Tensor,
    context?: Tensor,
  ): { readonly logProb: Tensor; readonly dz: Tensor; readonly dcontext?: Tensor | undefined };

  /** Samples of a shape. */
  protected abstract draw(shape: Shape, options: Draw): Tensor;

  /** As `backwardSample`. Default: for samples that depend on nothing. */
  protected drawBackward(
    _z: Tensor,
    _dz: Tensor,
    _context?: Tensor,
  ): { readonly dcontext?: Tensor | undefined } {
    if (!this.usesContext && this.parameters.every((p) => p.frozen)) return {};
    throw new ValueError(
      `${this.type}.backwardSample: its samples have no gradient; expected frozen parameters, or a base whose ` +
        'samples move with them, such as Normal.',
    );
  }

  /** @throws ShapeError for a shape of z that it does not take. Default: takes any. */
  protected requireShape(_shape: Shape): void {}

  /** Checks z and the context, and gives the context, one for each sample. */
  #checked(method: string, z: Tensor, context: Tensor | undefined): Tensor | undefined {
    const op = `${this.type}.${method}`;
    if (requireTensor(op, z, 'z').rank === 0) {
      throw new ShapeError(`${op}: z is []; expected samples along the first axis.`);
    }
    this.requireShape(z.shape);
    return this.#contextFor(op, z.shape[0]!, context);
  }

  #contextFor(op: string, samples: number, context: Tensor | undefined): Tensor | undefined {
    if (context === undefined && !this.usesContext) return undefined;
    if (context === undefined) throw new ValueError(`${op}: got no context; expected one.`);
    if (!this.usesContext) {
      const came = context instanceof Tensor ? formatShape(context.shape) : formatValue(context);
      throw new ValueError(`${op}: got a context ${came}, but it uses none; expected none.`);
    }
    const [contexts, ...rest] = requireTensor(op, context, 'the context').shape;
    if (contexts === samples) return context;
    if (contexts === 1) return add(zeros([samples, ...rest], context), context);
    throw new ShapeError(
      `${op}: the context is ${formatShape(context.shape)}; expected ${samples} samples, or one for all, [1, …].`,
    );
  }
}

/** @throws ShapeError unless it is a tensor of the shape. */
function requireLike(base: Module, method: string, what: string, t: Tensor, shape: Shape): void {
  const op = `${base.type}.${method}`;
  const came = formatShape(requireTensor(op, t, what).shape);
  if (came === formatShape(shape)) return;
  throw new ShapeError(`${op}: ${what} is ${came}; expected ${formatShape(shape)}.`);
}

/** What a hook gave, of the right shape and no tensor that it was given. */
function made(
  base: Module,
  hook: string,
  result: Tensor,
  shape: Shape,
  given: readonly (Tensor | undefined)[],
): Tensor {
  requireLike(base, hook, 'its result', result, shape);
  return given.includes(result) ? clone(result) : result;
}

/** The context's gradient, if any: summed where one context stood for all samples. */
function likeContext(
  dcontext: Tensor | undefined,
  context: Tensor | undefined,
  given: readonly (Tensor | undefined)[],
): { dcontext?: Tensor } {
  if (!dcontext) return {};
  if (context && context.shape[0] !== dcontext.shape[0]) {
    return { dcontext: sum(dcontext, { axes: [0], keepDims: true }) };
  }
  return { dcontext: given.includes(dcontext) ? clone(dcontext) : dcontext };
}

/** The distribution itself. @throws ValueError unless it is one. */
export function requireBase(op: string, name: string, base: BaseDistribution): BaseDistribution {
  if (base instanceof BaseDistribution) return base;
  throw new ValueError(`${op}: ${name} is ${formatValue(base)}; expected a base distribution.`);
}
