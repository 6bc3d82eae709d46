/**
 * Noise for pixels that is trained along with the flow (Ho, Chen, Srinivas, Duan and Abbeel, "Flow++: Improving
 * flow-based generative models with variational dequantization and architecture design", 2019).
 * Mathematics: docs/math/flows/variational-dequantization.md
 */
import {
  activeStep,
  initializeSync,
  Module,
  outsideSteps,
  requireModuleOptions,
} from '@invnet/layers';
import {
  add,
  affine,
  currentPlacement,
  formatValue,
  full,
  mean,
  minimum,
  neg,
  type RandomStream,
  requireOptions,
  type Shape,
  sigmoid,
  sigmoidGrad,
  softplus,
  sub,
  sumPerSample,
  type Tensor,
  tensor,
  tidy,
  ValueError,
} from '@invnet/tensor';
import { type Pixels, requireLevels, requirePixels, withinLevel } from './dequantize.ts';
import { type Flow, networkContext, requireFlow } from './flow.ts';
import { draw, pull, setOnSamples } from './objectives/draws.ts';

/** What to dequantize. */
export interface VariationalOptions {
  /** Shape of the pixels, batch first. */
  readonly shape: Shape;
  /** Seed of the noise; or a stream that moves on, as in training. */
  readonly seed: number | RandomStream;
  /** What the flow of the data takes as its context. The noise has the pixels as its own. */
  readonly context?: Tensor | undefined;
}

/**
 * A flow of x = (v + u)/levels for pixels v, and one of the noise u in (0, 1) given v: u = σ(h), with h from a flow over
 * all numbers whose context are the pixels, (v + ½)/levels − ½. Uniform noise asks the flow for densities with the edges
 * of a level; noise of its own takes the shape that the flow can have, so the bound on the likelihood is tighter.
 *
 * The noise is needed for training and for the bound alone: samples are those of `flow`.
 *
 * @throws ValueError unless both are flows and levels are 2 to 2¹⁶.
 * @example
 * const flow = new Flow({ network: compose(new Logit(), new Glow({ channels: 1 })) });
 * const noise = new Flow({ network: new ConditionalGlow({ channels: 1, contextChannels: 1, scales: 1 }) });
 * const model = new VariationalDequantization({ flow, noise });
 * const loss = variationalLoss(model, bytes, { shape: [16, 1, 28, 28], seed: random });
 * adam.step(model.parameters, { learningRate: 1e-3 }); // of both
 */
export class VariationalDequantization extends Module {
  static readonly type: string = 'VariationalDequantization';
  readonly flow: Flow;
  readonly noise: Flow;
  readonly levels: number;

  constructor(options: { readonly flow: Flow; readonly noise: Flow; readonly levels?: number }) {
    super();
    requireModuleOptions('VariationalDequantization', options, ['flow', 'noise', 'levels']);
    const { flow, noise, levels = 256 } = options;
    requireLevels('VariationalDequantization', levels);
    this.flow = requireFlow('VariationalDequantization', flow);
    this.noise = requireFlow('VariationalDequantization', noise);
    this.levels = levels;
  }

  get options() {
    return { flow: this.flow, noise: this.noise, levels: this.levels };
  }

  /**
   * log p(x) − log q(u | v) for one draw of noise per sample, [N]: its mean over draws is at most the log-probability of
   * the pixels plus D·log levels, so that `bitsPerDim` of minus its mean is an upper bound; and the mean of its
   * exponential is that exactly.
   *
   * @throws ShapeError, ValueError as `dequantize`.
   * @example bitsPerDim(-mean, 28 * 28, model.levels)
   */
  bound(pixels: Pixels, options: VariationalOptions): Tensor {
    const op = 'VariationalDequantization.bound';
    requireVariational(op, this, pixels, options);
    return outsideSteps(() =>
      tidy(() => {
        const { x, logProb } = drawn(op, this, cellsOf(this, pixels, options), options);
        return sub(this.flow.logProb(x, options.context), logProb);
      }),
    );
  }
}

/**
 * −mean(log p(x) − log q(u | v)) over noise of one draw per sample, in nats, shape []: an upper bound of the negative
 * log-likelihood as `negativeLogLikelihood` has it, on data in [0, 1). Its gradients, those of the noise along its path
 * among them, are added to the parameters of both flows by invertible backpropagation.
 *
 * A training loss: networks that were not initialized are, before anything else.
 *
 * @throws ShapeError, ValueError as `dequantize`, and `negativeLogLikelihood`.
 * @example
 * const random = new RandomStream(1);
 * zeroGrad(model.parameters);
 * const nats = variationalLoss(model, bytes, { shape: [16, 1, 28, 28], seed: random });
 * bitsPerDim(await nats.data(), 28 * 28);
 */
export function variationalLoss(
  model: VariationalDequantization,
  pixels: Pixels,
  options: VariationalOptions,
): Tensor {
  const op = 'variationalLoss';
  if (!(model instanceof VariationalDequantization)) {
    throw new ValueError(`${op}: got ${formatValue(model)}; expected a VariationalDequantization.`);
  }
  requireVariational(op, model, pixels, options);
  const { flow, noise, levels } = model;
  return tidy(() => {
    const cells = cellsOf(model, pixels, options);
    setOnSamples(op, noise, { shape: options.shape, context: cells.context });
    const { z, h, u, x, logProb } = drawn(op, model, cells, options);
    const context = networkContext(flow, options.context);
    if (!activeStep()) initializeSync(flow.network, x, { context });
    const there = flow.forward(x, options.context);
    const samples = logProb.size;
    const back = flow.backward(there.z, full([samples], -1 / samples, x), options.context);
    // Through x = (v + σ(h))/levels, and the log σ′(h) of the noise, whose derivative is 1 − 2σ(h).
    const dx = sigmoidGrad(u, affine(back.dx, 1 / levels));
    const dh = add(dx, affine(u, 2 / samples, -1 / samples));
    const dlogProb = full([samples], 1 / samples, x);
    pull(noise, { z, x: h, dx: dh, dlogProb, context: cells.context });
    return neg(mean(sub(there.logProb, logProb)));
  });
}

/** @throws ShapeError, ValueError for wrong arguments. */
function requireVariational(
  op: string,
  { levels }: VariationalDequantization,
  pixels: Pixels,
  options: VariationalOptions,
): void {
  requireOptions(op, options, ['shape', 'seed', 'context']);
  requirePixels(op, pixels, options.shape, levels);
}

/** Where pixels lie in [0, 1). */
interface Cells {
  /** v/levels, and the largest number that is still of that level. */
  readonly low: Tensor;
  readonly high: Tensor;
  /** Of the noise, where it uses one. */
  readonly context: Tensor | undefined;
}

function cellsOf(
  { noise, levels }: VariationalDequantization,
  pixels: Pixels,
  { shape }: VariationalOptions,
): Cells {
  const { dtype } = currentPlacement();
  const edge = (above: 0 | 1) =>
    tensor(
      Float64Array.from(pixels, (v) => withinLevel(dtype, (v + above) / levels, v, levels)),
      shape,
    );
  const low = edge(0);
  const context = noise.usesContext ? affine(low, 1, 0.5 / levels - 0.5) : undefined;
  return { low, high: edge(1), context };
}

/** Noise for pixels, with its log-density log q(u | v) per sample, and what it makes of them. */
function drawn(
  op: string,
  { noise, levels }: VariationalDequantization,
  { low, high, context }: Cells,
  { shape, seed }: VariationalOptions,
) {
  const { z, x: h, logProb } = draw(op, noise, { shape, seed, context });
  const u = sigmoid(h);
  const x = minimum(add(low, affine(u, 1 / levels)), high);
  // log σ′(h) = −log(1 + eʰ) − log(1 + e⁻ʰ)
  const ofU = add(logProb, sumPerSample(add(softplus(h), softplus(neg(h)))));
  return { z, h, u, x, logProb: ofU };
}
