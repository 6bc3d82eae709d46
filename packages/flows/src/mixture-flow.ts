/** Mixtures of flows, and of any bases. Mathematics: docs/math/flows/bases.md */
import { addOwned, Construction, Parameter, requireModuleOptions } from '@invnet/layers';
import {
  add,
  concat,
  formatValue,
  mul,
  requireBoolean,
  requireList,
  type Shape,
  split,
  type Tensor,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { BaseDistribution, type Draw } from './bases/base-distribution.ts';
import { drawComponents, logSum, logWeights, mixtureBackward } from './bases/mixture-weights.ts';
import { Flow } from './flow.ts';

/** What a mixture is of. */
export type MixtureComponent = Flow | BaseDistribution;

/** Options of `MixtureFlow`. */
export interface MixtureFlowOptions {
  /** At least one, all of z of one shape. */
  readonly components: readonly MixtureComponent[];
  /** Keeps the weights as they are. Default: false. */
  readonly frozen?: boolean;
}

/**
 * log p(z) = log Σₖ πₖ pₖ(z) of flows or bases pₖ, with trained weights: `logits` [K], whose exponentials are in
 * proportion to π. Each component is trained on what it answers for, by invertible backpropagation, one after the other: the
 * memory is that of one, and a latent of each.
 *
 * It is a base itself, so that a `Flow` of it has all that flows have: losses, training, files. Sampling evaluates all
 * components and takes from each what is its, so it costs K times as much as of one.
 *
 * @example
 * const components = [0, 1, 2].map((seed) => new Flow({ network: networkOf(seed) }));
 * const flow = new Flow({ network: new Identity(), base: new MixtureFlow({ components }) });
 */
export class MixtureFlow extends BaseDistribution {
  static readonly type: string = 'MixtureFlow';
  readonly components: readonly MixtureComponent[];
  readonly logits: Parameter;
  readonly #frozen: boolean;

  /** @throws ValueError unless the components are flows or bases, at least one, each once. */
  constructor(options: MixtureFlowOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('MixtureFlow', options, ['components', 'frozen']);
    const { components, frozen = false } = options;
    requireList('MixtureFlow', 'components', components, 'a list of flows or base distributions');
    requireBoolean('MixtureFlow', 'frozen', frozen);
    for (const [i, c] of components.entries()) {
      if ((c instanceof Flow || c instanceof BaseDistribution) && components.indexOf(c) === i)
        continue;
      throw new ValueError(
        `MixtureFlow: components[${i}] is ${formatValue(c)}; expected flows or base distributions, each once.`,
      );
    }
    if (components.length === 0) {
      throw new ValueError('MixtureFlow: got no components; expected at least one.');
    }
    this.components = [...components];
    this.#frozen = frozen;
    this.logits = new Parameter('logits', zeros([components.length]), { frozen });
    building.complete();
  }

  get options() {
    return { components: this.components, frozen: this.#frozen };
  }

  override get usesContext(): boolean {
    return this.components.some((c) => c.usesContext);
  }

  protected density(z: Tensor, context?: Tensor): Tensor {
    const logProbs = this.components.map((c) => {
      const { latent, logProb } = evaluate(c, z, context);
      latent?.dispose();
      return logProb;
    });
    return logSum(this.#terms(logProbs)).reshape([-1]);
  }

  protected densityBackward(z: Tensor, dlogProb: Tensor, context?: Tensor) {
    const evaluated = this.components.map((c) => evaluate(c, z, context));
    const terms = this.#terms(evaluated.map(({ logProb }) => logProb));
    const { shares, dlogits } = mixtureBackward(terms, this.logits.data, dlogProb);
    this.logits.accumulateGrad(dlogits);
    const columns = columnsOf(shares);
    let [dz, dcontext]: (Tensor | undefined)[] = [];
    // Against the order of the evaluations, as it must be where those were kept.
    for (let k = this.components.length - 1; k >= 0; k--) {
      const { latent } = evaluated[k]!;
      const back = evaluateBack(this.components[k]!, latent ?? z, columns[k]!, context);
      latent?.dispose();
      dz = addOwned(dz, back.dz);
      if (back.dcontext) dcontext = addOwned(dcontext, back.dcontext);
    }
    return { logProb: logSum(terms).reshape([-1]), dz: dz!, dcontext };
  }

  protected draw(shape: Shape, { random, temperature, context }: Draw): Tensor {
    const chosen = columnsOf(drawComponents(this.logits.data, shape[0]!, random));
    return this.components
      .map((c, k) => {
        const own = c.usesContext ? context : undefined;
        const z =
          c instanceof Flow
            ? c.sample({ shape, seed: random, temperature, ...(own && { context: own }) })
            : c.sample(shape, { random, temperature, context: own });
        return mul(z, chosen[k]!.reshape([-1, ...shape.slice(1).map(() => 1)]));
      })
      .reduce((total, z) => add(total, z));
  }

  /** log πₖ + log pₖ(z), [N, K] */
  #terms(logProbs: readonly Tensor[]): Tensor {
    const columns = logProbs.map((l) => l.reshape([-1, 1]));
    return add(concat(columns, 1), logWeights(this.logits.data));
  }
}

/** log p(z) of a component; of a flow also its latent, from which backward starts. */
function evaluate(component: MixtureComponent, z: Tensor, context: Tensor | undefined) {
  const own = component.usesContext ? context : undefined;
  if (component instanceof BaseDistribution) {
    return { latent: undefined, logProb: component.logProb(z, own) };
  }
  const { z: latent, logProb } = component.forward(z, own);
  return { latent, logProb };
}

/** The gradients of z and the context, from the latent of a flow or the z of a base. */
function evaluateBack(
  component: MixtureComponent,
  from: Tensor,
  dlogProb: Tensor,
  context: Tensor | undefined,
): { dz: Tensor; dcontext?: Tensor } {
  const own = component.usesContext ? context : undefined;
  if (component instanceof BaseDistribution) return component.backward(from, dlogProb, own);
  const { x, dx: dz, ...rest } = component.backward(from, dlogProb, own);
  x.dispose();
  return { dz, ...rest };
}

/** The columns of [N, K], each [N]. */
function columnsOf(matrix: Tensor): Tensor[] {
  const [samples, count] = matrix.shape;
  const columns = split(
    matrix,
    1,
    Array.from({ length: count! }, () => 1),
  );
  return columns.map((c) => c.reshape([samples!]));
}
