/** Right calls of `@invnet/networks` and `@invnet/flows`. */
import * as flows from '@invnet/flows';
import * as layers from '@invnet/layers';
import * as networks from '@invnet/networks';
import { add, RandomStream, type Tensor } from '@invnet/tensor';
import { type Calls, call, make, on } from './call.ts';
import { graphCalls } from './graphs.ts';
import { blockMethods, methodsOf } from './layers.ts';

const random = () => new RandomStream(5);

/** Calls of all exports of networks. */
export function networkCalls(): Calls {
  const r = random();
  const [v, image, context] = [r.normal([2, 4]), r.normal([2, 2, 4, 4]), r.normal([2, 2])];
  const [hidden, scaleFunction] = [2, layers.sigmoid({ low: 0.5 })];
  const sizes = { scales: 1, steps: 1, ndims: 0, splitScales: true };
  const shared = { channels: 4, ...sizes, hidden, actnorm: true, random: random() };
  const glow = { ...shared, scaleFunction, frozenConv1x1: false };
  const hint = { ...shared, scaleFunction, depth: 1, shared: false };
  const both = { ...hint, conditionChannels: 4, permute: true };
  const { scales: _, splitScales: __, ...oneScale } = both;
  const operator = { forward: (u: Tensor) => add(u, u), adjoint: (u: Tensor) => add(u, u) };
  const misfit = { channels: 1, outChannels: 2, operator, link: layers.tanh(), actnorm: true };
  const loop = {
    channels: 1,
    memoryChannels: 3,
    iterations: 1,
    operator,
    link: layers.tanh(),
    coupling: 'additive',
    hidden,
    ndims: 0,
    actnorm: true,
    random: random(),
  };
  const stages = [{ resolution: 'halve', hidden }, { resolution: 'double' }];
  const hyperbolic = { channels: 2, architecture: stages, ndims: 2, kernel: 3, stepSize: 0.5 };
  const step = () => new layers.Identity();
  const scaled = {
    ...sizes,
    channels: [4],
    squeeze: new layers.HaarSqueeze(),
    step,
    around: (f: unknown) => f,
  };
  const conditional = { ...glow, contextChannels: 2 };
  const network = new networks.ConditionalGlow(conditional);
  const summary = new layers.DenseBlock({ inChannels: 2, hidden, outChannels: 2 });
  const own = (name: string) => Reflect.get(networks, name);
  const revNet = { channels: 2, classes: 2, width: 2, blocks: [1], ndims: 2 };
  const uNet = { channels: 2, levels: 2, steps: 1, hidden, ndims: 2, random: random() };
  const maps = [new layers.Identity(), new layers.Identity()] as const;
  return {
    compose: [call(own('compose'), [...maps])],
    reverse: [call(own('reverse'), [maps[0]])],
    FirstHalf: [make(own('FirstHalf'), [maps[0]])],
    Sequential: [make(own('Sequential'), [[...maps]])],
    maskedAutoregressiveFlow: [
      call(networks.maskedAutoregressiveFlow, [
        { channels: 3, transforms: 2, hidden: [2], order: 'random', random: random() },
      ]),
    ],
    networkCatalogue: [],
    RevNet: [
      make(networks.RevNet, [{ ...revNet, random: random() }]),
      ...blockMethods(new networks.RevNet(revNet), image),
    ],
    LearnedSqueeze: [
      make(networks.LearnedSqueeze, [{ channels: 2, ndims: 2 }]),
      ...methodsOf(new networks.LearnedSqueeze({ channels: 2 }), image),
    ],
    InvertibleUNet: [
      make(networks.InvertibleUNet, [{ ...uNet, transformer: new layers.AdditiveTransformer() }]),
      ...methodsOf(new networks.InvertibleUNet(uNet), image),
    ],
    ...graphCalls(),
    Glow: [
      make(networks.Glow, [{ ...glow, squeeze: new layers.HaarSqueeze() }]),
      make(networks.Glow, [{ ...glow, prior: new networks.LearnedPrior() }]),
      ...methodsOf(new networks.Glow(glow), v),
      ...methodsOf(new networks.Glow({ channels: 2, steps: 1, scales: 2, hidden }), image),
    ],
    LatentPrior: [],
    LearnedPrior: [
      make(networks.LearnedPrior, [{ classes: 3, size: [2, 2] }]),
      on(new networks.LearnedPrior(), 'at', [[4], { ndims: 2, last: false }]),
    ],
    ConditionalGlow: [
      make(networks.ConditionalGlow, [conditional]),
      ...methodsOf(network, v, context),
    ],
    ConditionalHint: [
      make(networks.ConditionalHint, [oneScale]),
      ...methodsOf(new networks.ConditionalHint(oneScale), [v, v]),
    ],
    MultiScaleConditionalHint: [
      make(networks.MultiScaleConditionalHint, [both]),
      ...methodsOf(new networks.MultiScaleConditionalHint(both), [v, v]),
    ],
    MultiScaleHint: [
      make(networks.MultiScaleHint, [{ ...hint, permute: 'lower' }]),
      ...methodsOf(new networks.MultiScaleHint({ ...hint, permute: 'full' }), v),
    ],
    HyperbolicNetwork: [
      make(networks.HyperbolicNetwork, [{ ...hyperbolic, random: random() }]),
      ...methodsOf(new networks.HyperbolicNetwork({ channels: 2, architecture: [{ hidden }] }), [
        image,
        image,
      ]),
    ],
    MisfitGradient: [
      make(networks.MisfitGradient, [misfit]),
      ...blockMethods(new networks.MisfitGradient(misfit), r.normal([2, 1]), r.normal([2, 1])),
    ],
    MultiScale: [
      make(networks.MultiScale, [scaled]),
      ...methodsOf(
        new networks.MultiScale({ ...sizes, channels: [4], squeeze: scaled.squeeze, step }),
        v,
      ),
    ],
    SummarizedNetwork: [
      make(networks.SummarizedNetwork, [{ network, summary }]),
      ...methodsOf(new networks.SummarizedNetwork({ network, summary }), v, context),
    ],
    UnrolledLoop: [
      make(networks.UnrolledLoop, [loop]),
      ...methodsOf(
        new networks.UnrolledLoop({ memoryChannels: 3, iterations: 1, operator, hidden, ndims: 0 }),
        [r.normal([2, 1]), r.normal([2, 3])],
        r.normal([2, 1]),
      ),
    ],
  };
}

/** Calls of all exports of flows. */
export function flowCalls(): Calls {
  const [x, z] = [random().normal([3, 2]), random().normal([3, 2])];
  const affine = new layers.AffineLayer({ channels: 2 });
  const base = new flows.StandardNormal();
  const flow = new flows.Flow({ network: affine, base });
  const undo = () => layers.zeroGrad(flow.parameters);
  const field = new layers.SmoothField({ channels: 2, hidden: [2] });
  const matching = new flows.Flow({ network: new layers.ContinuousFlow({ field }) });
  const noise = new flows.Flow({ network: new layers.AffineLayer({ channels: 2 }) });
  const dequantization = new flows.VariationalDequantization({ flow, noise, levels: 4 });
  const levels = Uint8Array.of(0, 1, 2, 3, 1, 2);
  const draws = { shape: [3, 2], seed: random(), context: undefined };
  return {
    flowCatalogue: [],
    BaseDistribution: [],
    bitsPerDim: [call(flows.bitsPerDim, [100, 10, 256])],
    dequantize: [call(flows.dequantize, [Uint8Array.of(1, 2, 3, 4), [2, 2], random()])],
    Flow: [
      make(flows.Flow, [{ network: affine, base }]),
      on(flow, 'outputShape', [[2, 2]]),
      on(flow, 'logProb', [x]),
      on(flow, 'forward', [x]),
      on(flow, 'backward', [z, random().normal([3])], { undo }),
      on(flow, 'sample', [{ shape: [3, 2], seed: 1, temperature: 0.5, context: undefined }]),
    ],
    negativeLogLikelihood: [
      call(flows.negativeLogLikelihood, [flow, x], { undo }),
      call(flows.negativeLogLikelihood, [flow, x, undefined, random().uniform([3])], { undo }),
    ],
    flowMatching: [
      call(
        flows.flowMatching,
        [
          matching,
          { x, weights: random().uniform([3]), random: random(), deviation: 0.1, timePower: 1 },
        ],
        { undo: () => layers.zeroGrad(matching.parameters) },
      ),
    ],
    ...baseCalls(),
    VariationalDequantization: [
      make(flows.VariationalDequantization, [{ flow, noise, levels: 4 }]),
      on(dequantization, 'bound', [levels, { ...draws, seed: 1 }]),
    ],
    variationalLoss: [
      call(flows.variationalLoss, [dequantization, levels, draws], {
        undo: () => layers.zeroGrad(dequantization.parameters),
      }),
    ],
    standardNormal: [call(flows.standardNormal, [])],
    StandardNormal: [
      make(flows.StandardNormal, []),
      on(base, 'logProb', [z]),
      on(base, 'backward', [z, random().normal([3])]),
      on(base, 'sample', [[3, 2], { random: random(), temperature: 0.5, context: undefined }]),
      on(base, 'backwardSample', [z, z]),
    ],
  };
}

/** Calls of the bases with parameters. */
function baseCalls(): Calls {
  const r = random();
  const [z, d, oneOf3] = [r.normal([3, 2]), r.normal([3]), flows.oneHot([0, 2, 1], 3)];
  const sizes = { channels: 2, size: [] };
  const conditional = { channels: 2, contextChannels: 3, hidden: 2, ndims: 0 };
  const mixed = { components: [new flows.Normal(sizes), new flows.StudentT(sizes)], frozen: false };
  const made: [string, object, flows.BaseDistribution, Tensor?][] = [
    ['Normal', { ...sizes, mean: [1, 2], deviation: 2, frozen: false }, new flows.Normal(sizes)],
    [
      'MultivariateNormal',
      {
        ...sizes,
        mean: 1,
        factor: [
          [1, 0],
          [2, 3],
        ],
        frozen: false,
      },
      new flows.MultivariateNormal(sizes),
    ],
    ['Uniform', { low: [0, 1], high: 2 }, new flows.Uniform({ low: -9, high: 9 })],
    [
      'NormalMixture',
      { ...sizes, components: 2, spread: 1, frozen: false, random: r },
      new flows.NormalMixture({ ...sizes, components: 2 }),
    ],
    [
      'StudentT',
      { ...sizes, degrees: 3, mean: 0, scale: [1, 2], frozen: false },
      new flows.StudentT({ ...sizes, frozen: true }),
    ],
    [
      'ClassConditional',
      { ...sizes, classes: 3, spread: 1, random: r },
      new flows.ClassConditional({ ...sizes, classes: 3 }),
      oneOf3,
    ],
    [
      'ConditionalNormal',
      { ...conditional, conditioner: undefined, random: r },
      new flows.ConditionalNormal(conditional),
      oneOf3,
    ],
    ['MixtureFlow', mixed, new flows.MixtureFlow(mixed)],
  ];
  const pathwise = (base: flows.BaseDistribution) => !/Mixture/.test(base.type);
  const calls = made.map(([name, options, base, context]) => {
    const undo = () => layers.zeroGrad(base.parameters);
    const calls = [
      make(Reflect.get(flows, name), [options]),
      // Outside of a box the density is 0.
      on(base, 'logProb', [z, context], { may: ['nan'] }),
      on(base, 'backward', [z, d, context], { undo, may: ['nan'] }),
      on(base, 'sample', [[3, 2], { random: random(), temperature: 0.5, context }]),
      ...(pathwise(base) ? [on(base, 'backwardSample', [z, z, context], { undo })] : []),
    ];
    return [name, calls] as const;
  });
  return { ...Object.fromEntries(calls), oneHot: [call(flows.oneHot, [[0, 2], 3])] };
}
