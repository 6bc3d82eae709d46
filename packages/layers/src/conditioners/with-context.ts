/** Conditioners that see a context beside their input. */
import {
  concat,
  formatShape,
  type Shape,
  ShapeError,
  split,
  type Tensor,
  ValueError,
  zerosLike,
} from '@invnet/tensor';
import { requireModuleOptions, requireWhole } from '../core/checks.ts';
import { Conditioner, requireConditioner } from '../core/conditioner.ts';
import type { Saved } from '../core/saved.ts';
import type { Tangent } from '../core/tangent.ts';

/** Options of `WithContext`. */
export interface WithContextOptions {
  /** Channels of the context, without which the shape of y is not known before one comes. */
  readonly contextChannels?: number | undefined;
}

/** What the inner conditioner saved, and how to part its gradient. */
interface SavedJoin {
  readonly joined: Saved;
  readonly channels: readonly [number, number];
}

/**
 * The conditioner g([x, context]), joined along the channels; `inner` takes as many channels as
 * both have. The context has the batch size and the resolution of x.
 *
 * @example
 * const inner = new ResidualBlock({ inChannels: 2 + 3, hidden: 32, outChannels: 4 });
 * const { y } = new WithContext(inner).forward(x, context); // x [N, 2, H, W], context [N, 3, H, W]
 * new WithContext(inner, { contextChannels: 3 }).outputShape(x.shape); // [N, 4, H, W]
 */
export class WithContext extends Conditioner<SavedJoin> {
  static readonly type: string = 'WithContext';
  readonly inner: Conditioner;
  readonly contextChannels: number | undefined;

  /** @throws ValueError for what is no conditioner, or contextChannels below 1. */
  constructor(inner: Conditioner, options: WithContextOptions = {}) {
    super();
    requireModuleOptions('WithContext', options, ['contextChannels']);
    const { contextChannels } = options;
    this.inner = requireConditioner('WithContext', 'inner', inner);
    if (contextChannels !== undefined) {
      requireWhole('WithContext', 'contextChannels', contextChannels, 1);
    }
    this.contextChannels = contextChannels;
  }

  static build({ inner, ...options }: WithContextOptions & { readonly inner: Conditioner }) {
    return new WithContext(inner, options);
  }

  get options() {
    return { inner: this.inner, contextChannels: this.contextChannels };
  }

  override get usesContext(): boolean {
    return true;
  }

  /** @throws ValueError without a context, ShapeError for one of another batch or resolution, or other channels. */
  protected apply(x: Tensor, context?: Tensor) {
    const c = this.#context(x, context);
    const { y, saved: joined } = this.inner.forward(concat([x, c], 1));
    return { y, saved: { joined, channels: [x.shape[1]!, c.shape[1]!] as const } };
  }

  protected applyBackward(dy: Tensor, { joined, channels }: SavedJoin) {
    const { dx: both } = this.inner.backward(dy, joined);
    const [dx, dcontext] = split(both, 1, channels);
    return { dx: dx!, dcontext: dcontext! };
  }

  protected applyTangent(x: Tensor, tangent: Tangent, context?: Tensor) {
    const c = this.#context(x, context);
    const direction =
      tangent.x || tangent.context
        ? concat([tangent.x ?? zerosLike(x), tangent.context ?? zerosLike(c)], 1)
        : undefined;
    const { parameters } = tangent;
    return this.inner.jvp(concat([x, c], 1), { x: direction, parameters });
  }

  protected applyShape(x: Shape): Shape | undefined {
    const { contextChannels } = this;
    return contextChannels === undefined ? undefined : this.#joinedShape(x, contextChannels);
  }

  #context(x: Tensor, context: Tensor | undefined): Tensor {
    if (!context) throw new ValueError('conditioner: expected a context, got none.');
    const { contextChannels = context.shape[1]! } = this;
    const expected = formatShape(x.shape.map((s, i) => (i === 1 ? contextChannels : s)));
    if (formatShape(context.shape) !== expected) {
      throw new ShapeError(
        `conditioner: context ${formatShape(context.shape)} for data ${formatShape(x.shape)}; ` +
          `expected ${expected}, of the same batch size and resolution.`,
      );
    }
    this.#joinedShape(x.shape, context.shape[1]!);
    return context;
  }

  /** What `inner` makes of both. @throws ShapeError when it does not take as many channels. */
  #joinedShape([n, channels, ...size]: Shape, contextChannels: number): Shape | undefined {
    return this.inner.outputShape([n!, channels! + contextChannels, ...size]);
  }
}
