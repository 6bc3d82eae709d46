/** Composition of bijections as plain data. Mathematics: docs/math/composition.md */

import {
  type BackwardOptions,
  type Bijection,
  type Parameter,
  prefixNames,
  type Tangent,
} from '@invnet/layers';
import { add, type Tensor, ValueError } from '@invnet/tensor';

/** What `jvp` gives. */
type Linearized<K extends string> = Record<K | 'logdet' | 'dlogdet', Tensor>;

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
export class Sequential implements Bijection {
  readonly layers: readonly Bijection[];
  readonly parameters: readonly Parameter[];

  /** @throws ValueError for an empty list. */
  constructor(layers: readonly Bijection[] | Readonly<Record<string, Bijection>>) {
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

  forward(x: Tensor, context?: Tensor): { y: Tensor; logdet: Tensor } {
    const { state, logdet } = runThrough(this.layers, x, (layer, s) => {
      const { y, logdet } = layer.forward(s, context);
      return { state: y, logdet };
    });
    return { y: state, logdet };
  }

  inverse(y: Tensor, context?: Tensor): { x: Tensor; logdet: Tensor } {
    const { state, logdet } = runThrough(this.#reversed(), y, (layer, s) => {
      const { x, logdet } = layer.inverse(s, context);
      return { state: x, logdet };
    });
    return { x: state, logdet };
  }

  backward(y: Tensor, dy: Tensor, options: BackwardOptions = {}) {
    const { state, gradient, dcontext } = walkBack(this.#reversed(), y, dy, (layer, s, g) => {
      const { x, dx, dcontext } = layer.backward(s, g, options);
      return { state: x, gradient: dx, dcontext };
    });
    return { x: state, dx: gradient, ...(dcontext && { dcontext }) };
  }

  backwardInverse(x: Tensor, dx: Tensor, options: BackwardOptions = {}) {
    const { state, gradient, dcontext } = walkBack(this.layers, x, dx, (layer, s, g) => {
      const { y, dy, dcontext } = layer.backwardInverse(s, g, options);
      return { state: y, gradient: dy, dcontext };
    });
    return { y: state, dy: gradient, ...(dcontext && { dcontext }) };
  }

  jvp(x: Tensor, tangent: Tangent, context?: Tensor): Linearized<'y' | 'dy'> {
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

  jvpInverse(y: Tensor, tangent: Tangent, context?: Tensor): Linearized<'x' | 'dx'> {
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

  #reversed(): readonly Bijection[] {
    return [...this.layers].reverse();
  }
}

/**
 * f₁ then f₂ then …, as one bijection; the order is that of application.
 *
 * @example compose(squeeze, step, reverse(squeeze))
 */
export function compose(...layers: readonly Bijection[]): Sequential {
  return new Sequential(layers);
}

function runThrough(
  layers: readonly Bijection[],
  start: Tensor,
  step: (layer: Bijection, state: Tensor) => { state: Tensor; logdet: Tensor },
): { state: Tensor; logdet: Tensor } {
  let state = start;
  let logdet: Tensor | undefined;
  for (const layer of layers) {
    const next = step(layer, state);
    if (state !== start) state.dispose();
    state = next.state;
    logdet = addOwned(logdet, next.logdet);
  }
  return { state, logdet: logdet! };
}

function walkBack(
  layers: readonly Bijection[],
  start: Tensor,
  startGradient: Tensor,
  step: (
    layer: Bijection,
    state: Tensor,
    gradient: Tensor,
  ) => { state: Tensor; gradient: Tensor; dcontext: Tensor | undefined },
): { state: Tensor; gradient: Tensor; dcontext: Tensor | undefined } {
  let state = start;
  let gradient = startGradient;
  let dcontext: Tensor | undefined;
  for (const layer of layers) {
    const next = step(layer, state, gradient);
    if (state !== start) {
      state.dispose();
      gradient.dispose();
    }
    ({ state, gradient } = next);
    if (next.dcontext) dcontext = addOwned(dcontext, next.dcontext);
  }
  return { state, gradient, dcontext };
}

function linearize(
  layers: readonly Bijection[],
  start: Tensor,
  tangent: Tangent,
  step: (
    layer: Bijection,
    state: Tensor,
    tangent: Tangent,
  ) => { state: Tensor; direction: Tensor; logdet: Tensor; dlogdet: Tensor },
): { state: Tensor; direction: Tensor; logdet: Tensor; dlogdet: Tensor } {
  let state = start;
  let direction = tangent.x;
  let logdet: Tensor | undefined;
  let dlogdet: Tensor | undefined;
  for (const layer of layers) {
    const next = step(layer, state, { ...tangent, x: direction });
    if (state !== start) {
      state.dispose();
      direction?.dispose();
    }
    ({ state, direction } = next);
    logdet = addOwned(logdet, next.logdet);
    dlogdet = addOwned(dlogdet, next.dlogdet);
  }
  return { state, direction: direction!, logdet: logdet!, dlogdet: dlogdet! };
}

/** total + term, freeing both. */
function addOwned(total: Tensor | undefined, term: Tensor): Tensor {
  if (!total) return term;
  const result = add(total, term);
  total.dispose();
  term.dispose();
  return result;
}
