/** Conditioners one after the other. Mathematics: docs/math/conditioners/chain.md */
import {
  collectTensors,
  formatValue,
  requireList,
  type Shape,
  type Tensor,
  ValueError,
} from '@invnet/tensor';
import { Bijection } from '../core/bijection.ts';
import { requireModuleOptions } from '../core/checks.ts';
import { Conditioner, requireConditioner } from '../core/conditioner.ts';
import type { Saved } from '../core/saved.ts';
import { addOwned } from '../core/sums.ts';
import type { Tangent } from '../core/tangent.ts';
import type { Activation } from '../elementwise/activation.ts';
import { ActivationLayer } from './activation-layer.ts';
import { asConditioner } from './as-conditioner.ts';

/**
 * y = g_k(… g₂(g₁(x))). Each block gets the context, and those that have no use for it leave it alone. Its
 * parts are named by their positions, `0.w`; what is between two blocks is kept where a backward needs it.
 * `chain` makes it.
 *
 * @example new Chain({ layers: [new Dense({ inChannels: 2, outChannels: 8 })] })
 */
export class Chain extends Conditioner<readonly Saved[]> {
  static readonly type: string = 'Chain';
  readonly inner: readonly Conditioner[];

  /** @throws ValueError for an empty list, or what is no conditioner. */
  constructor(options: { readonly layers: readonly Conditioner[] }) {
    super();
    requireModuleOptions('Chain', options, ['layers']);
    const { layers } = options;
    requireList('Chain', 'layers', layers);
    if (layers.length === 0) throw new ValueError('Chain: expected at least one layer.');
    this.inner = layers.map((layer, i) => requireConditioner('Chain', `layer ${i}`, layer));
  }

  get options() {
    return { layers: this.inner };
  }

  /** In the order of application. */
  get layers(): readonly Conditioner[] {
    return this.inner;
  }

  protected apply(x: Tensor, context?: Tensor) {
    let h = x;
    const saved: Saved[] = [];
    for (const layer of this.inner) {
      const { y, saved: left } = layer.forward(h, context);
      saved.push(left);
      const kept = new Set<Tensor>();
      collectTensors(left.kept, kept);
      if (h !== x && !kept.has(h)) h.dispose();
      h = y;
    }
    return { y: h, saved };
  }

  protected applyBackward(dy: Tensor, saved: readonly Saved[]) {
    let dh = dy;
    let dcontext: Tensor | undefined;
    for (let i = saved.length - 1; i >= 0; i--) {
      const back = this.inner[i]!.backward(dh, saved[i]!);
      if (dh !== dy) dh.dispose();
      dh = back.dx;
      if (back.dcontext) dcontext = addOwned(dcontext, back.dcontext);
    }
    return { dx: dh, ...(dcontext && { dcontext }) };
  }

  protected applyTangent(x: Tensor, tangent: Tangent, context?: Tensor) {
    let [h, dh] = [x, tangent.x];
    for (const layer of this.inner) {
      const { y, dy } = layer.jvp(h, { ...tangent, x: dh }, context);
      [h, dh] = [y, dy];
    }
    return { y: h, dy: dh };
  }

  protected applyShape(x: Shape): Shape | undefined {
    return this.inner.reduce<Shape | undefined>((h, layer) => h && layer.outputShape(h), x);
  }
}

/**
 * Blocks one after the other, as `Chain` of Flux and `Sequential` of PyTorch: conditioners, activations, and
 * bijections, such as an `ActNorm`, whose log-determinants are left aside.
 *
 * @throws ValueError for none, or what is none of these.
 * @example
 * const g = chain(
 *   new Conv({ inChannels: 2, outChannels: 16 }), new BatchNorm({ channels: 16 }), relu(),
 *   new Conv({ inChannels: 16, outChannels: 4 }),
 * );
 * new GlowCoupling({ channels: 4, conditioner: g });
 */
export function chain(...layers: readonly (Conditioner | Bijection | Activation)[]): Chain {
  return new Chain({ layers: layers.map(asLayer) });
}

function asLayer(layer: Conditioner | Bijection | Activation, i: number): Conditioner {
  if (layer instanceof Conditioner) return layer;
  if (layer instanceof Bijection) return asConditioner(layer);
  if (typeof layer?.apply === 'function') return new ActivationLayer({ activation: layer });
  throw new ValueError(
    `chain: layer ${i} is ${formatValue(layer)}; expected a conditioner, a bijection or an activation, ` +
      'such as relu().',
  );
}
