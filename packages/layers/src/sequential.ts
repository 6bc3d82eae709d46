/** Composition of bijections as plain data. Mathematics: docs/math/composition.md */

import { type Tensor, ValueError } from '@invnet/tensor';
import type { BackwardOptions, Bijection, Tangent } from './bijection.ts';
import { type Parameter, prefixNames } from './parameter.ts';
import { disposeState, type State } from './state.ts';
import { addOwned } from './sums.ts';

/**
 * y = f_k(… f₂(f₁(x))), the log-determinants added. Each state is freed as soon as the next is
 * made, so memory does not grow with the number of layers.
 *
 * Parameters are named by the position of their layer, or by its key when layers come in a record.
 *
 * @example
 * const net = new Sequential([new ActNorm({ channels: 2 }), new Conv1x1({ channels: 2 })]);
 * const named = new Sequential({ norm: new ActNorm({ channels: 2 }) }); // parameters norm.scale, …
 */
export class Sequential<S extends State = Tensor> implements Bijection<S> {
  readonly layers: readonly Bijection<S>[];
  readonly parameters: readonly Parameter[];

  /** @throws ValueError for an empty list. */
  constructor(layers: readonly Bijection<S>[] | Readonly<Record<string, Bijection<S>>>) {
    const named = Object.entries(layers);
    if (named.length === 0) throw new ValueError('Sequential: expected at least one layer.');
    const parameters = new Set<Parameter>();
    for (const [name, layer] of named) {
      // A parameter that several layers share keeps the name of its first place.
      const fresh = layer.parameters.filter((p) => !parameters.has(p));
      prefixNames(name, fresh);
      for (const p of fresh) parameters.add(p);
    }
    this.layers = named.map(([, layer]) => layer);
    this.parameters = [...parameters];
  }

  forward(x: S, context?: Tensor): { y: S; logdet: Tensor } {
    const { state, logdet } = runThrough(this.layers, x, (layer, s) => {
      const { y, logdet } = layer.forward(s, context);
      return { state: y, logdet };
    });
    return { y: state, logdet };
  }

  inverse(y: S, context?: Tensor): { x: S; logdet: Tensor } {
    const { state, logdet } = runThrough(this.#reversed(), y, (layer, s) => {
      const { x, logdet } = layer.inverse(s, context);
      return { state: x, logdet };
    });
    return { x: state, logdet };
  }

  backward(y: S, dy: S, options: BackwardOptions = {}) {
    const { state, gradient, dcontext } = walkBack(this.#reversed(), y, dy, (layer, s, g) => {
      const { x, dx, dcontext } = layer.backward(s, g, options);
      return { state: x, gradient: dx, dcontext };
    });
    return { x: state, dx: gradient, ...(dcontext && { dcontext }) };
  }

  backwardInverse(x: S, dx: S, options: BackwardOptions = {}) {
    const { state, gradient, dcontext } = walkBack(this.layers, x, dx, (layer, s, g) => {
      const { y, dy, dcontext } = layer.backwardInverse(s, g, options);
      return { state: y, gradient: dy, dcontext };
    });
    return { y: state, dy: gradient, ...(dcontext && { dcontext }) };
  }

  jvp(x: S, tangent: Tangent<S>, context?: Tensor) {
    const { state, direction, logdet, dlogdet } = linearize(
      this.layers,
      x,
      tangent,
      (layer, s, t) => {
        const { y, dy, logdet, dlogdet } = layer.jvp(s, t, context);
        return { state: y, direction: dy, logdet, dlogdet };
      },
    );
    return { y: state, dy: direction, logdet, dlogdet };
  }

  jvpInverse(y: S, tangent: Tangent<S>, context?: Tensor) {
    const { state, direction, logdet, dlogdet } = linearize(
      this.#reversed(),
      y,
      tangent,
      (layer, s, t) => {
        const { x, dx, logdet, dlogdet } = layer.jvpInverse(s, t, context);
        return { state: x, direction: dx, logdet, dlogdet };
      },
    );
    return { x: state, dx: direction, logdet, dlogdet };
  }

  #reversed(): readonly Bijection<S>[] {
    return [...this.layers].reverse();
  }
}

/**
 * f₁ then f₂ then …, as one bijection; the order is that of application.
 *
 * @example compose(squeeze, step, reverse(squeeze))
 */
export function compose<S extends State = Tensor>(
  ...layers: readonly Bijection<S>[]
): Sequential<S> {
  return new Sequential(layers);
}

function runThrough<S extends State>(
  layers: readonly Bijection<S>[],
  start: S,
  step: (layer: Bijection<S>, state: S) => { state: S; logdet: Tensor },
): { state: S; logdet: Tensor } {
  let state = start;
  let logdet: Tensor | undefined;
  for (const layer of layers) {
    const next = step(layer, state);
    if (state !== start) disposeState(state);
    state = next.state;
    logdet = addOwned(logdet, next.logdet);
  }
  return { state, logdet: logdet! };
}

function walkBack<S extends State>(
  layers: readonly Bijection<S>[],
  start: S,
  startGradient: S,
  step: (
    layer: Bijection<S>,
    state: S,
    gradient: S,
  ) => { state: S; gradient: S; dcontext: Tensor | undefined },
): { state: S; gradient: S; dcontext: Tensor | undefined } {
  let state = start;
  let gradient = startGradient;
  let dcontext: Tensor | undefined;
  for (const layer of layers) {
    const next = step(layer, state, gradient);
    if (state !== start) {
      disposeState(state);
      disposeState(gradient);
    }
    ({ state, gradient } = next);
    if (next.dcontext) dcontext = addOwned(dcontext, next.dcontext);
  }
  return { state, gradient, dcontext };
}

function linearize<S extends State>(
  layers: readonly Bijection<S>[],
  start: S,
  tangent: Tangent<S>,
  step: (
    layer: Bijection<S>,
    state: S,
    tangent: Tangent<S>,
  ) => { state: S; direction: S; logdet: Tensor; dlogdet: Tensor },
): { state: S; direction: S; logdet: Tensor; dlogdet: Tensor } {
  let state = start;
  let direction = tangent.x;
  let logdet: Tensor | undefined;
  let dlogdet: Tensor | undefined;
  for (const layer of layers) {
    const next = step(layer, state, { ...tangent, x: direction });
    if (state !== start) {
      disposeState(state);
      if (direction) disposeState(direction);
    }
    ({ state, direction } = next);
    logdet = addOwned(logdet, next.logdet);
    dlogdet = addOwned(dlogdet, next.dlogdet);
  }
  return { state, direction: direction!, logdet: logdet!, dlogdet: dlogdet! };
}
