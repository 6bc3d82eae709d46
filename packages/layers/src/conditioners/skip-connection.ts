/** Connections around a block: residual ones, and those of U-Nets. Mathematics: docs/math/conditioners/chain.md */
import {
  add,
  concat,
  formatShape,
  requireOneOf,
  type Shape,
  ShapeError,
  split,
  type Tensor,
  zerosLike,
} from '@invnet/tensor';
import { requireModuleOptions } from '../core/checks.ts';
import { Conditioner, requireConditioner } from '../core/conditioner.ts';
import type { Saved } from '../core/saved.ts';
import { sameShape } from '../core/state.ts';
import type { Tangent } from '../core/tangent.ts';
import { cropped, padded } from './resampling.ts';

/** Options of `SkipConnection`. */
export interface SkipConnectionOptions {
  /** f */
  readonly inner: Conditioner;
  /** How x and f(x) come together. */
  readonly join: 'add' | 'concat';
}

/** What f left, and the shape of its result. */
interface SavedSkip {
  readonly saved: Saved;
  readonly channels: number;
}

/**
 * y = x + f(x), or y = [x, f(x)] along the channels, where an f(x) of less resolution, as of odd sizes that
 * were halved and doubled, has zeros behind it. `residual` and `concatSkip` make it.
 *
 * @example new SkipConnection({ inner: block, join: 'concat' })
 */
export class SkipConnection extends Conditioner<SavedSkip> {
  static readonly type: string = 'SkipConnection';
  readonly inner: Conditioner;
  readonly join: 'add' | 'concat';

  /** @throws ValueError for what is no conditioner, or another way to join. */
  constructor(options: SkipConnectionOptions) {
    super();
    requireModuleOptions('SkipConnection', options, ['inner', 'join']);
    const { inner, join } = options;
    this.inner = requireConditioner('SkipConnection', 'inner', inner);
    requireOneOf('SkipConnection', 'join', join, ['add', 'concat']);
    this.join = join;
  }

  get options() {
    return { inner: this.inner, join: this.join };
  }

  protected apply(x: Tensor, context?: Tensor) {
    const { y: inside, saved } = this.inner.forward(x, context);
    return { y: this.#joined(x, inside), saved: { saved, channels: x.shape[1]! } };
  }

  protected applyBackward(dy: Tensor, { saved, channels }: SavedSkip) {
    if (this.join === 'add') {
      const { dx, ...rest } = this.inner.backward(dy, saved);
      return { dx: add(dy, dx), ...rest };
    }
    const [direct, behind] = split(dy, 1, [channels, dy.shape[1]! - channels]);
    const through = cropped(behind!, saved.shape.slice(2));
    const { dx, ...rest } = this.inner.backward(through, saved);
    return { dx: add(direct!, dx), ...rest };
  }

  protected applyTangent(x: Tensor, tangent: Tangent, context?: Tensor) {
    const { y, dy } = this.inner.jvp(x, tangent, context);
    const dx = tangent.x ?? zerosLike(x);
    return { y: this.#joined(x, y), dy: this.#joined(dx, dy) };
  }

  protected applyShape(x: Shape): Shape | undefined {
    const inside = this.inner.outputShape(x);
    return inside && this.#joinedShape(x, inside);
  }

  #joined(x: Tensor, inside: Tensor): Tensor {
    this.#joinedShape(x.shape, inside.shape);
    if (this.join === 'add') return add(x, inside);
    return concat([x, padded(inside, x.shape.slice(2))], 1);
  }

  /** @throws ShapeError where x and f(x) do not come together. */
  #joinedShape(x: Shape, inside: Shape): Shape {
    if (this.join === 'add' && sameShape(x, inside)) return x;
    const fits = x.length === inside.length && x[0] === inside[0];
    const [n, channels, ...size] = x;
    if (this.join === 'concat' && fits && size.every((s, i) => s >= inside[i + 2]!)) {
      return [n!, channels! + inside[1]!, ...size];
    }
    const expected =
      this.join === 'add' ? 'the same shape' : 'the same batch size, and a resolution not above it';
    throw new ShapeError(
      `SkipConnection: ${formatShape(x)} became ${formatShape(inside)} inside; expected ${expected}.`,
    );
  }
}

/**
 * x + f(x) (He et al., "Deep residual learning for image recognition", 2016).
 *
 * @example chain(new Dense({ inChannels: 2, outChannels: 8 }), residual(chain(relu(), new Dense({ … }))))
 */
export function residual(f: Conditioner): SkipConnection {
  return new SkipConnection({ inner: f, join: 'add' });
}

/** [x, f(x)] along the channels, as in U-Nets. @example concatSkip(chain(new MaxPool(), inner, new Upsample())) */
export function concatSkip(f: Conditioner): SkipConnection {
  return new SkipConnection({ inner: f, join: 'concat' });
}
