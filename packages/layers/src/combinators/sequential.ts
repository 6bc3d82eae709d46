/** Composition of bijections as plain data. Mathematics: docs/math/combinators/composition.md */
import { requireRecord, requireWhole, type Tensor, ValueError } from '@invnet/tensor';
import { type BackwardOptions, Bijection, requireBijection } from '../core/bijection.ts';
import { disposeState, type ShapeOf, type State } from '../core/state.ts';
import { addOwned } from '../core/sums.ts';
import type { Tangent } from '../core/tangent.ts';
import type { Options } from '../tree/module.ts';
import { requireName } from '../tree/path.ts';

/** Bijections in order, or by name. */
export type Layers<S extends State = Tensor> =
  | readonly Bijection<S>[]
  | Readonly<Record<string, Bijection<S>>>;

/**
 * y = f_k(… f₂(f₁(x))), the log-determinants added. Each state is freed as soon as the next is
 * made, so memory does not grow with the number of layers.
 *
 * Its children are named by their position, or by their key when layers come in a record. Layers are
 * taken by either, and from behind by negative positions; slices share the layers.
 *
 * @example
 * const net = new Sequential([new ActNorm({ channels: 2 }), new Conv1x1({ channels: 2 })]);
 * const named = new Sequential({ norm: new ActNorm({ channels: 2 }) }); // parameters norm.scale, …
 * net.at(-1); net.slice(0, 1).forward(x); named.at('norm'); [...net].length;
 */
export class Sequential<S extends State = Tensor> extends Bijection<S> {
  static readonly type: string = 'Sequential';
  /** The layers by name. */
  readonly inner: Readonly<Record<string, Bijection<S>>>;

  /** @throws ValueError for an empty list, or a name that is empty or has a dot in it. */
  constructor(layers: Layers<S>) {
    super();
    if (!Array.isArray(layers)) requireRecord('Sequential', 'layers', layers, 'a list or a record');
    this.inner = { ...layers } as Readonly<Record<string, Bijection<S>>>;
    if (this.length === 0) throw new ValueError('Sequential: expected at least one layer.');
    // JavaScript would move such keys to the front of a record.
    if (!Array.isArray(layers) && this.names.some((name) => /^\d+$/.test(name))) {
      throw new ValueError(
        `Sequential: layers are called ${this.names.join(', ')}; expected names that are no numbers, ` +
          'or a list.',
      );
    }
    const { stateSize } = this;
    for (const [name, layer] of Object.entries(this.inner)) {
      requireBijection('Sequential', `layer '${name}'`, layer, stateSize);
      requireName('Sequential', name);
    }
  }

  static build<S extends State>(options: {
    readonly names?: readonly string[];
    readonly layers: readonly Bijection<S>[];
  }): Sequential<S> {
    return new Sequential(layersNamed(options));
  }

  get options(): Options {
    const { names, layers } = this;
    return names.every((name, i) => name === String(i)) ? { layers } : { names, layers };
  }

  /** In the order of application. */
  get layers(): readonly Bijection<S>[] {
    return Object.values(this.inner);
  }

  get names(): readonly string[] {
    return Object.keys(this.inner);
  }

  get length(): number {
    return this.names.length;
  }

  /** The layer at a position, from behind when negative, or of a name. @throws ValueError for none. */
  at(place: number | string): Bijection<S> {
    const named = typeof place === 'string';
    const own = named && Object.hasOwn(this.inner, place) ? this.inner[place] : undefined;
    if (!named) requireWhole('Sequential.at', 'the position', place, Number.NEGATIVE_INFINITY);
    const layer = named ? own : this.layers.at(place);
    if (layer) return layer;
    throw new ValueError(
      `Sequential.at: no layer ${typeof place === 'string' ? `'${place}'` : place}; expected one of ` +
        `${this.names.map((n) => `'${n}'`).join(', ')}, or a position up to ${this.length - 1}.`,
    );
  }

  /** The layers from `start` up to but without `end`, as of `Array.slice`; they are shared. */
  slice(start?: number, end?: number): Sequential<S> {
    for (const place of [start, end]) {
      if (place !== undefined)
        requireWhole('Sequential.slice', 'a position', place, Number.NEGATIVE_INFINITY);
    }
    const kept = Object.entries(this.inner).slice(start, end);
    const numbered = this.names.every((name, i) => name === String(i));
    return new Sequential(numbered ? kept.map(([, f]) => f) : Object.fromEntries(kept));
  }

  [Symbol.iterator](): IterableIterator<Bijection<S>> {
    return this.layers.values();
  }

  override get stateSize(): 1 | 2 {
    return requireBijection('Sequential', 'a layer', this.layers[0]!).stateSize;
  }

  protected apply(x: S, context?: Tensor) {
    const { state, logdet } = runThrough(this.layers, x, (layer, s) => {
      const { y, logdet } = layer.forward(s, context);
      return { state: y, logdet };
    });
    return { y: state, logdet };
  }

  protected invert(y: S, context?: Tensor) {
    const { state, logdet } = runThrough(this.layers.toReversed(), y, (layer, s) => {
      const { x, logdet } = layer.inverse(s, context);
      return { state: x, logdet };
    });
    return { x: state, logdet };
  }

  protected applyBackward(y: S, dy: S, options: BackwardOptions) {
    const layers = this.layers.toReversed();
    const { state, gradient, dcontext } = walkBack(layers, y, dy, (layer, s, g) => {
      const { x, dx, dcontext } = layer.backward(s, g, options);
      return { state: x, gradient: dx, dcontext };
    });
    return { x: state, dx: gradient, ...(dcontext && { dcontext }) };
  }

  protected invertBackward(x: S, dx: S, options: BackwardOptions) {
    const { state, gradient, dcontext } = walkBack(this.layers, x, dx, (layer, s, g) => {
      const { y, dy, dcontext } = layer.backwardInverse(s, g, options);
      return { state: y, gradient: dy, dcontext };
    });
    return { y: state, dy: gradient, ...(dcontext && { dcontext }) };
  }

  protected applyTangent(x: S, tangent: Tangent<S>, context?: Tensor) {
    const { state, direction, ...rest } = linearize(this.layers, x, tangent, (layer, s, t) => {
      const { y, dy, logdet, dlogdet } = layer.jvp(s, t, context);
      return { state: y, direction: dy, logdet, dlogdet };
    });
    return { y: state, dy: direction, ...rest };
  }

  protected invertTangent(y: S, tangent: Tangent<S>, context?: Tensor) {
    const layers = this.layers.toReversed();
    const { state, direction, ...rest } = linearize(layers, y, tangent, (layer, s, t) => {
      const { x, dx, logdet, dlogdet } = layer.jvpInverse(s, t, context);
      return { state: x, direction: dx, logdet, dlogdet };
    });
    return { x: state, dx: direction, ...rest };
  }

  protected override applyShape(x: ShapeOf<S>): ShapeOf<S> {
    return this.layers.reduce((shape, layer) => layer.outputShape(shape), x);
  }

  protected override invertShape(y: ShapeOf<S>): ShapeOf<S> {
    return this.layers.reduceRight((shape, layer) => layer.inputShape(shape), y);
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

/** Layers as they stand in a file: a list, and a list of names where they have any. */
function layersNamed<S extends State>({
  names,
  layers,
}: {
  readonly names?: readonly string[];
  readonly layers: readonly Bijection<S>[];
}): Layers<S> {
  if (!names) return layers;
  if (names.length !== layers.length || new Set(names).size !== names.length) {
    throw new ValueError(
      `Sequential: names ${names.map((n) => `'${n}'`).join(', ')} for ${layers.length} layers; ` +
        'expected one for each, all different.',
    );
  }
  return Object.fromEntries(layers.map((layer, i) => [names[i]!, layer]));
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
