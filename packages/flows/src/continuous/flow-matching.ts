/**
 * Training of continuous flows without solving them: flow matching (Lipman et al., "Flow matching for generative modeling",
 * 2023; for posteriors Dax et al., "Flow matching for scalable simulation-based inference", 2023). Mathematics:
 * docs/math/flows/flow-matching.md
 */
import {
  activeStep,
  type Bijection,
  ContinuousFlow,
  initializeSync,
  MidpointFlow,
  perSample,
  Sequential,
  type VelocityField,
  withTime,
} from '@invnet/layers';
import { SummarizedNetwork } from '@invnet/networks';
import {
  add,
  affine,
  formatShape,
  formatValue,
  mean,
  mul,
  type RandomStream,
  requireAtLeast,
  requireOptions,
  requireStream,
  requireTensor,
  ShapeError,
  sub,
  sumPerSample,
  Tensor,
  tensor,
  tidy,
  ValueError,
} from '@invnet/tensor';
import { Flow } from '../flow.ts';

/** A batch, and how to match. */
export interface FlowMatchingBatch {
  /** Data, [N, …]. */
  readonly x: Tensor;
  /** What the velocity depends on, for each sample or one for all. */
  readonly context?: Tensor | undefined;
  /** What each sample counts, [N]. Default: 1. */
  readonly weights?: Tensor | undefined;
  /** Draws times and noise. */
  readonly random: RandomStream;
  /** Deviation of the noise that is left at time 1. Default: 0. */
  readonly deviation?: number;
  /**
   * Times are drawn with a density that grows as t to this power, which turns more of the training to where posteriors are
   * sharp (Dax et al., 2023). Default: 0, all times alike.
   */
  readonly timePower?: number;
}

const names = ['x', 'context', 'weights', 'random', 'deviation', 'timePower'];

/**
 * How far a flow's velocity is from that of straight lines from noise z to data x, shape []:
 *
 *   mean w·‖v(xₜ, t, context) − (x − (1 − σ)z)‖²/D at xₜ = (1 − (1 − σ)t)z + t x.
 *
 * z is of the flow's base, and a time of each sample lies in an Nth of its own. Gradients are added to the parameters; it
 * takes one evaluation of the field and its backward, and no solver.
 *
 * The flow's network is a `ContinuousFlow` or a `MidpointFlow`; within a `Sequential`, behind layers without trained
 * parameters, and within a `SummarizedNetwork`, whose summary is trained along. It is a `loss` for `fit`.
 *
 * @throws ValueError for other networks, options out of range. @throws ShapeError for weights of another number.
 * @example
 * const flow = new Flow({ network: new ContinuousFlow({ field }) });
 * using loss = flowMatching(flow, { x, random });
 * const { flow: fitted } = await fit(flow, rows, { loss: flowMatching }).result();
 */
export function flowMatching(flow: Flow, batch: FlowMatchingBatch): Tensor {
  if (!(flow instanceof Flow)) {
    throw new ValueError(`flowMatching: got ${formatValue(flow)}; expected a Flow.`);
  }
  requireOptions('flowMatching', batch, names);
  const { x, context, weights, deviation = 0, timePower = 0 } = batch;
  const random = requireStream('flowMatching', batch.random);
  const samples = requireTensor('flowMatching', x, 'x').shape[0]!;
  requireAtLeast('flowMatching', 'deviation', deviation, 0);
  requireAtLeast('flowMatching', 'timePower', timePower, 0);
  if (weights !== undefined) requireWeights(weights, samples);
  if (context !== undefined && !flow.usesContext) {
    throw new ValueError(
      'flowMatching: got a context, but nothing in the flow uses one; expected none.',
    );
  }
  const shape = flow.outputShape(x.shape);
  if (!activeStep()) initializeSync(flow.network, x, { context });
  return tidy(() => {
    const t = times(x, random, timePower);
    const { base } = flow;
    const baseContext = base.usesContext ? context : undefined;
    const z = base.sample(shape, { random, context: baseContext });
    const line = { z, t, deviation, weights };
    return matched(flow.network, x, flow.network.usesContext ? context : undefined, line).loss;
  });
}

/** What a network is matched to, beside the data. */
interface Line {
  readonly z: Tensor;
  /** [N] */
  readonly t: Tensor;
  readonly deviation: number;
  readonly weights: Tensor | undefined;
}

interface Matched {
  readonly loss: Tensor;
  readonly dcontext?: Tensor;
}

/** The loss of the flow within a network, of the network's data. */
function matched(network: Bijection, x: Tensor, context: Tensor | undefined, line: Line): Matched {
  if (network instanceof ContinuousFlow || network instanceof MidpointFlow) {
    return fieldLoss(network.field, x, context, line);
  }
  if (network instanceof SummarizedNetwork && context) {
    const { y, saved } = network.summary.forward(context);
    const { loss, dcontext } = matched(network.network, x, y, line);
    return { loss, ...(dcontext && { dcontext: network.summary.backward(dcontext, saved).dx }) };
  }
  if (network instanceof Sequential) {
    const before = network.layers.slice(0, -1);
    const trained = before.flatMap((f) => f.parameters).find((p) => !p.frozen);
    if (!trained) {
      const of = (f: Bijection) => (f.usesContext ? context : undefined);
      const y = before.reduce((h, f) => f.forward(h, of(f)).y, x);
      const last = network.layers.at(-1)!;
      return matched(last, y, of(last), line);
    }
    throw new ValueError(
      `flowMatching: '${trained.name}' is a trained parameter in front of the continuous flow, and the data that it makes are what ` +
        'is matched; expected layers without any, such as a Standardization, or frozen ones.',
    );
  }
  throw new ValueError(
    `flowMatching: the network is a ${network.type}; expected a ContinuousFlow or a MidpointFlow, alone, at the end of a ` +
      'Sequential, or in a SummarizedNetwork.',
  );
}

function fieldLoss(
  field: VelocityField,
  x: Tensor,
  context: Tensor | undefined,
  { z, t, deviation, weights }: Line,
): Matched {
  const along = perSample(t, x);
  const rest = affine(z, 1 - deviation);
  const velocity = sub(x, rest);
  const place = add(z, mul(along, velocity));
  const { y, saved } = field.forward(withTime(place, t), context);
  const gap = sub(y, velocity);
  const dims = x.size / x.shape[0]!;
  const weighted = weights ? mul(gap, perSample(weights, gap)) : gap;
  const loss = affine(mean(sumPerSample(mul(weighted, gap))), 1 / dims);
  const { dcontext } = field.backward(affine(weighted, 2 / x.size), saved);
  saved.dispose();
  return { loss, ...(dcontext && { dcontext }) };
}

/** A time for each sample, one in each Nth of them: uniform ones to the power 1/(1 + timePower). */
function times(x: Tensor, random: RandomStream, timePower: number): Tensor {
  const samples = x.shape[0]!;
  const values = random.uniformArray(samples);
  for (let i = 0; i < samples; i++) {
    values[i] = ((i + values[i]!) / samples) ** (1 / (1 + timePower));
  }
  return tensor(values, [samples], x);
}

function requireWeights(weights: Tensor, samples: number): void {
  if (weights instanceof Tensor && weights.rank === 1 && weights.shape[0] === samples) return;
  const came = weights instanceof Tensor ? formatShape(weights.shape) : formatValue(weights);
  throw new ShapeError(`flowMatching: weights are ${came}; expected [${samples}], one a sample.`);
}
