/** Conditioners that see a context beside their input. */
import {
  concat,
  formatShape,
  ShapeError,
  split,
  type Tensor,
  tidy,
  ValueError,
  zerosLike,
} from '@invnet/tensor';
import type { Tangent } from './bijection.ts';
import type { Conditioner, Saved } from './conditioner.ts';
import type { Parameter } from './parameter.ts';

/** What the inner conditioner saved, and how to part its gradient. */
interface SavedJoin<S extends Saved> extends Saved {
  readonly inner: S;
  readonly channels: readonly [number, number];
}

/**
 * The conditioner g([x, context]), joined along the channels; `inner` takes as many channels as
 * both have. The context has the batch size and the resolution of x.
 *
 * @example
 * const inner = new ResidualBlock({ inChannels: 2 + 3, hidden: 32, outChannels: 4 });
 * const { y } = new WithContext(inner).forward(x, context); // x [N, 2, H, W], context [N, 3, H, W]
 */
export class WithContext<S extends Saved> implements Conditioner<SavedJoin<S>> {
  readonly inner: Conditioner<S>;

  constructor(inner: Conditioner<S>) {
    this.inner = inner;
  }

  get parameters(): readonly Parameter[] {
    return this.inner.parameters;
  }

  /** @throws ValueError without a context, ShapeError for one of another batch or resolution. */
  forward(x: Tensor, context?: Tensor): { y: Tensor; saved: SavedJoin<S> } {
    requireContext(x, context);
    const joined = concat([x, context], 1);
    const { y, saved } = this.inner.forward(joined);
    const dispose = () => {
      saved.dispose();
      joined.dispose();
    };
    return { y, saved: { inner: saved, channels: [x.shape[1]!, context.shape[1]!], dispose } };
  }

  backward(dy: Tensor, saved: SavedJoin<S>): { dx: Tensor; dcontext: Tensor } {
    const { dx: both } = this.inner.backward(dy, saved.inner);
    const [dx, dcontext] = split(both, 1, saved.channels);
    both.dispose();
    return { dx: dx!, dcontext: dcontext! };
  }

  jvp(x: Tensor, tangent: Tangent, context?: Tensor): { y: Tensor; dy: Tensor } {
    requireContext(x, context);
    return tidy(() => {
      const direction =
        tangent.x || tangent.context
          ? concat([tangent.x ?? zerosLike(x), tangent.context ?? zerosLike(context)], 1)
          : undefined;
      const joined = concat([x, context], 1);
      return this.inner.jvp(joined, { x: direction, parameters: tangent.parameters });
    });
  }
}

function requireContext(x: Tensor, context: Tensor | undefined): asserts context is Tensor {
  if (!context) throw new ValueError('conditioner: expected a context, got none.');
  if (context.rank !== x.rank || x.shape.some((s, i) => i !== 1 && s !== context.shape[i])) {
    throw new ShapeError(
      `conditioner: context ${formatShape(context.shape)} for data ${formatShape(x.shape)}; ` +
        'expected the same batch size and resolution.',
    );
  }
}
