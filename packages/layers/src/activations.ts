/**
 * Element-wise functions: activations of conditioners, and scale functions of couplings. Each gives
 * its derivative in terms of its output, so that nothing else needs to be kept.
 */
import {
  add,
  affine,
  exp,
  leakyRelu as leakyReluOp,
  log,
  mul,
  reluGrad,
  relu as reluOp,
  sigmoidGrad,
  sigmoid as sigmoidOp,
  softplus as softplusOp,
  square,
  type Tensor,
  tanhGrad,
  tanh as tanhOp,
  tidy,
  ValueError,
} from '@invnet/tensor';

/** y = f(x), element by element. */
export interface Activation {
  readonly name: string;
  /** Bounds of f. A function with a positive lower bound can scale a coupling. */
  readonly range: readonly [number, number];
  /** f(x) */
  apply(x: Tensor): Tensor;
  /** dy·f′(x), in terms of y = f(x). */
  grad(y: Tensor, dy: Tensor): Tensor;
}

/** max(x, 0) */
export function relu(): Activation {
  return { name: 'relu', range: [0, Number.POSITIVE_INFINITY], apply: reluOp, grad: reluGrad };
}

/** x for x > 0, slope·x otherwise. @throws ValueError unless 0 < slope. */
export function leakyRelu({ slope = 0.01 }: { slope?: number } = {}): Activation {
  if (!(slope > 0)) throw new ValueError(`leakyRelu: slope ${slope}; expected a positive number.`);
  return {
    name: 'leakyRelu',
    range: [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
    apply: (x) => leakyReluOp(x, slope),
    // f′ is 1 where y > 0, else the slope: a mixture of dy and what ReLU lets through.
    grad: (y, dy) =>
      tidy(() => {
        const through = affine(reluGrad(y, dy), 1 - slope);
        return add(through, affine(dy, slope));
      }),
  };
}

/** Hyperbolic tangent. */
export function tanh(): Activation {
  return { name: 'tanh', range: [-1, 1], apply: tanhOp, grad: tanhGrad };
}

/** log(1 + eˣ); f′ = 1 − e⁻ʸ. */
export function softplus(): Activation {
  return {
    name: 'softplus',
    range: [0, Number.POSITIVE_INFINITY],
    apply: softplusOp,
    grad: (y, dy) => tidy(() => mul(dy, affine(exp(affine(y, -1)), -1, 1))),
  };
}

/**
 * low + (high − low)·σ(x): with low > 0 a scale function that stays away from zero.
 *
 * @throws ValueError unless low < high.
 * @example new GlowCoupling({ channels: 4, hidden: 32, scaleFunction: sigmoid({ low: 0.5, high: 1 }) })
 */
export function sigmoid({ low = 0, high = 1 }: { low?: number; high?: number } = {}): Activation {
  if (!(low < high))
    throw new ValueError(`sigmoid: low ${low}, high ${high}; expected low < high.`);
  const width = high - low;
  return {
    name: 'sigmoid',
    range: [low, high],
    apply: (x) => tidy(() => affine(sigmoidOp(x), width, low)),
    grad: (y, dy) => tidy(() => affine(sigmoidGrad(affine(y, 1 / width, -low / width), dy), width)),
  };
}

/** 2σ(x) − 1 = tanh(x/2) */
export function sigmoid2(): Activation {
  return { ...sigmoid({ low: -1, high: 1 }), name: 'sigmoid2' };
}

/**
 * exp(c·tanh(x/c)): eˣ near zero, softly clamped to e⁻ᶜ … eᶜ. f′ = y(1 − (log y/c)²).
 * (FrEIA and InvertibleNetworks.jl clamp with an arctangent instead.)
 *
 * @throws ValueError unless clamp > 0.
 */
export function expClamp({ clamp = 2 }: { clamp?: number } = {}): Activation {
  if (!(clamp > 0)) throw new ValueError(`expClamp: clamp ${clamp}; expected a positive number.`);
  return {
    name: 'expClamp',
    range: [Math.exp(-clamp), Math.exp(clamp)],
    apply: (x) => tidy(() => exp(affine(tanhOp(affine(x, 1 / clamp)), clamp))),
    grad: (y, dy) => tidy(() => mul(mul(dy, y), affine(square(affine(log(y), 1 / clamp)), -1, 1))),
  };
}
