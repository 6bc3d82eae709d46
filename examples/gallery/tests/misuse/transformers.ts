/** Right calls of the transformers of `@invnet/layers`, and of what holds them. */
import * as api from '@invnet/layers';
import { fusedSpline, RandomStream, zeros } from '@invnet/tensor';
import { type Calls, call, make } from './call.ts';
import { methodsOf } from './layers.ts';

/** Calls of their exports. */
export function transformerCalls(): Calls {
  const random = () => new RandomStream(3);
  const [x, context] = [random().normal([2, 4]), random().normal([2, 3])];
  const affine = { scaleFunction: api.expClamp() };
  const transformer = new api.AffineTransformer();
  const sizes = { channels: 4, transformer, hidden: 2, ndims: 0, random: random() };
  const coupling = { ...sizes, split: [1, 3], moves: 'first', contextChannels: 3 } as const;
  const conditional = { ...sizes, contextChannels: 3 };
  const spline = { bins: 3, bound: [-1, 2], tails: 'linear', minWidth: 0.01, minSlope: 0.01 };
  const elementwise = (f: api.Transformer) =>
    new api.ElementwiseTransform({ channels: 4, transformer: f });
  const own = { channels: 4, transformer, size: [] };
  return {
    Transformer: [],
    AdditiveTransformer: [make(api.AdditiveTransformer, [])],
    AffineTransformer: [make(api.AffineTransformer, [affine])],
    RationalQuadraticSpline: [
      make(api.RationalQuadraticSpline, [
        { ...spline, tails: 'circular', minHeight: 0.01, softClamp: 5 },
      ]),
      ...methodsOf(elementwise(new api.RationalQuadraticSpline({ bins: 3 })), x),
    ],
    QuadraticSpline: [make(api.QuadraticSpline, [spline])],
    LinearSpline: [
      make(api.LinearSpline, [{ bins: 3, bound: 2, tails: 'identity', minHeight: 0 }]),
    ],
    ElementwiseTransform: [
      make(api.ElementwiseTransform, [own]),
      ...methodsOf(new api.ElementwiseTransform({ channels: 4, transformer }), x),
    ],
    ConditionalTransform: [
      make(api.ConditionalTransform, [conditional]),
      ...methodsOf(new api.ConditionalTransform(conditional), x, context),
    ],
    TransformerCoupling: [
      make(api.TransformerCoupling, [coupling]),
      ...methodsOf(new api.TransformerCoupling(coupling), x, context),
    ],
  };
}

/** Calls of what `@invnet/tensor` has for splines. */
export function splineCalls(): Calls {
  const least = { minWidth: 0.01, minHeight: 0.01, minSlope: 0.01, softClamp: undefined };
  const form = { bins: 2, parameters: 5, low: -1, high: 1, tails: 'identity', ...least };
  return { fusedSpline: [call(fusedSpline, [zeros([2, 10]), form, 'inverse'])] };
}
