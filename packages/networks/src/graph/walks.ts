/** The walks that there are: of values, of values with gradients, and of values with directions. */
import {
  type Bijection,
  type Conditioner,
  evaluate,
  mapState,
  type Parameter,
  type Saved,
  type State,
} from '@invnet/layers';
import { add, split, type Tensor, zerosLike } from '@invnet/tensor';
import type { LogdetGradients, LogdetSums } from './logdets.ts';
import type { FeatureNode } from './nodes.ts';
import { type Carried, type Passed, type Passing, type Route, Walk } from './walk.ts';
import type { Edge, Step } from './wiring.ts';

/** f, or f⁻¹ when it is reversed. */
export class ValueWalk extends Walk {
  readonly #sums: LogdetSums;

  constructor(route: Route, sums: LogdetSums) {
    super(route);
    this.#sums = sums;
  }

  protected pass(f: Bijection<State>, { state, context, step }: Passing): Passed {
    if (this.route.reversed) {
      const { x, logdet } = f.inverse(state, context?.value);
      this.#sums.add(step, logdet);
      return { state: x };
    }
    const { y, logdet } = f.forward(state, context?.value);
    this.#sums.add(step, logdet);
    return { state: y };
  }

  protected evaluate(
    g: Conditioner,
    step: Step<FeatureNode>,
    x: Carried,
    context: Carried | undefined,
  ) {
    const value = evaluate(g, x.value, context?.value);
    this.haveRead(step.inputs, x);
    this.haveRead(step.conditions, context);
    return { value };
  }
}

/** f or f⁻¹ with directions beside the values. */
export class TangentWalk extends Walk {
  readonly #parameters: ReadonlyMap<Parameter, Tensor> | undefined;
  readonly #sums: LogdetSums;
  readonly #directions: LogdetSums;

  constructor(
    route: Route,
    parameters: ReadonlyMap<Parameter, Tensor> | undefined,
    sums: { readonly logdet: LogdetSums; readonly dlogdet: LogdetSums },
  ) {
    super(route);
    this.#parameters = parameters;
    this.#sums = sums.logdet;
    this.#directions = sums.dlogdet;
  }

  protected pass(f: Bijection<State>, { state, along, context, step }: Passing): Passed {
    const tangent = { x: along, parameters: this.#parameters, context: context?.along };
    const { reversed } = this.route;
    const made = reversed
      ? f.jvpInverse(state, tangent, context?.value)
      : f.jvp(state, tangent, context?.value);
    this.#sums.add(step, made.logdet);
    this.#directions.add(step, made.dlogdet);
    return 'y' in made ? { state: made.y, along: made.dy } : { state: made.x, along: made.dx };
  }

  protected evaluate(
    g: Conditioner,
    step: Step<FeatureNode>,
    x: Carried,
    context: Carried | undefined,
  ) {
    const tangent = { x: x.along, parameters: this.#parameters, context: context?.along };
    const { y, dy } = g.jvp(x.value, tangent, context?.value);
    this.haveRead(step.inputs, x);
    this.haveRead(step.conditions, context);
    return { value: y, along: dy };
  }
}

/**
 * Values recomputed, with the gradients of the loss beside them: `backward` where it is reversed, and
 * `backwardInverse` where it is not. A feature is taken back as soon as all its readers have been.
 */
export class GradientWalk extends Walk {
  readonly #dlogdets: LogdetGradients;
  readonly #open = new Map<
    Edge,
    { readonly saved: Saved; readonly x: Carried; readonly context: Carried | undefined }
  >();

  constructor(route: Route, dlogdets: LogdetGradients) {
    super(route);
    this.#dlogdets = dlogdets;
  }

  protected pass(f: Bijection<State>, { state, along, context, step }: Passing): Passed {
    const options = { dlogdet: this.#dlogdets.of(step), context: context?.value };
    const gradient = along ?? mapState(state, zerosLike);
    const made = this.route.reversed
      ? f.backward(state, gradient, options)
      : f.backwardInverse(state, gradient, options);
    this.#give(step.conditions, made.dcontext);
    return 'x' in made ? { state: made.x, along: made.dx } : { state: made.y, along: made.dy };
  }

  protected evaluate(
    g: Conditioner,
    step: Step<FeatureNode>,
    x: Carried,
    context: Carried | undefined,
  ) {
    const { y, saved } = g.forward(x.value, context?.value);
    this.#open.set(step.outputs[0]!, { saved, x, context });
    return { value: y };
  }

  /** Gradients are summed, not joined. */
  protected override conditionAt(edge: Edge): Carried {
    return { value: super.conditionAt(edge).value };
  }

  protected override lastRead(edge: Edge): void {
    const open = this.#open.get(edge);
    if (!open) return;
    this.#open.delete(edge);
    const step = this.route.wiring.features.get(edge)!;
    const { along } = this.values.get(edge)!;
    if (along) {
      const { dx, dcontext } = this.blockOf(step).backward(along, open.saved);
      this.#give(step.inputs, dx);
      this.#give(step.conditions, dcontext);
    }
    open.saved.dispose();
    this.drop(edge);
    this.haveRead(step.inputs, open.x);
    this.haveRead(step.conditions, open.context);
  }

  /** Adds the gradient of joined conditions to those of each. */
  #give(edges: readonly Edge[], gradient: Tensor | undefined): void {
    if (!gradient) return;
    const parts = edges.length === 1 ? [gradient] : split(gradient, 1, this.sizesOf(edges, 1));
    if (edges.length > 1) gradient.dispose();
    edges.forEach((edge, i) => {
      const { value, along } = this.values.get(edge)!;
      this.values.set(edge, { value, along: along ? this.#sum(along, parts[i]!) : parts[i] });
    });
  }

  #sum(a: Tensor, b: Tensor): Tensor {
    const total = add(a, b);
    if (!this.route.given.has(a)) a.dispose();
    b.dispose();
    return total;
  }
}
