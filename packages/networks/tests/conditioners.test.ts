/** Networks whose conditioners the caller makes: what they are, how they are described, and what is wrong. */
import {
  type Bijection,
  build,
  ConditionalHintCoupling,
  type Conditioner,
  type ConditionerFactory,
  type ConditionerShape,
  type Conditioners,
  CustomBlock,
  copyModule,
  DenseBlock,
  describe as describeModule,
  Flattened,
  GlowCoupling,
  HintCoupling,
  IrimCoupling,
  named,
  type Pair,
  ResidualBlock,
  replacePart,
  withContext,
} from '@invnet/layers';
import { affine, RandomStream, setBackend, tensor, zeros } from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  ConditionalGlow,
  ConditionalHint,
  Glow,
  HyperbolicNetwork,
  MultiScaleConditionalHint,
  MultiScaleHint,
  networkCatalogue,
  UnrolledLoop,
} from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const random = new RandomStream(3);
const dense = withContext(
  ({ inChannels, outChannels }) => new DenseBlock({ inChannels, outChannels, hidden: 3, random }),
);
const sizes = { channels: 2, ndims: 0, hidden: 5 };
const small = { ...sizes, scales: 1, steps: 1 };
const identity = named('identity', {
  forward: (u: ReturnType<typeof zeros>) => affine(u, 1),
  adjoint: (r: ReturnType<typeof zeros>) => affine(r, 1),
});
const loop = { memoryChannels: 2, iterations: 2, ndims: 0, operator: identity } as const;

/** How each is made with its conditioners, and how many those are. */
const makers: readonly (readonly [
  string,
  (conditioner: Conditioners) => Bijection | Bijection<Pair>,
  number,
])[] = [
  ['Glow', (conditioner) => new Glow({ ...sizes, scales: 1, steps: 2, conditioner }), 2],
  [
    'ConditionalGlow',
    (conditioner) =>
      new ConditionalGlow({ ...sizes, contextChannels: 3, scales: 1, steps: 2, conditioner }),
    2,
  ],
  ['HintCoupling', (conditioner) => new HintCoupling({ ...sizes, channels: 4, conditioner }), 3],
  [
    'HintCoupling, shared',
    (conditioner) => new HintCoupling({ ...sizes, channels: 4, shared: true, conditioner }),
    2,
  ],
  [
    'ConditionalHintCoupling',
    (conditioner) => new ConditionalHintCoupling({ ...sizes, conditioner }),
    3,
  ],
  ['ConditionalHint', (conditioner) => new ConditionalHint({ ...sizes, steps: 2, conditioner }), 6],
  [
    'MultiScaleHint',
    (conditioner) => new MultiScaleHint({ ...sizes, scales: 1, steps: 2, conditioner }),
    2,
  ],
  [
    'MultiScaleConditionalHint',
    (conditioner) => new MultiScaleConditionalHint({ ...sizes, scales: 1, steps: 1, conditioner }),
    3,
  ],
  ['UnrolledLoop', (conditioner) => new UnrolledLoop({ ...loop, conditioner }), 2],
  [
    'UnrolledLoop, HINT',
    (conditioner) => new UnrolledLoop({ ...loop, coupling: 'hint', conditioner }),
    2,
  ],
];

describe('conditioners of the caller', () => {
  it.each(makers)('%s stands in files with what was made', (_, make, count) => {
    const asked: ConditionerShape[] = [];
    const net = make((shape) => {
      asked.push(shape);
      return dense(shape);
    });
    expect(asked).toHaveLength(count);
    expect(asked.every(({ ndims }) => ndims === 0)).toBe(true);
    const options = { modules: networkCatalogue, named: { identity: () => identity } };
    const config = describeModule(net);
    expect(describeModule(build(config, options))).toEqual(config);
    const weights = net.parameters.map((p) => [p.name, p.shape]);
    expect(build(config, options).parameters.map((p) => [p.name, p.shape])).toEqual(weights);
    expect(copyModule(net).parameters.map((p) => p.data.dataSync())).toEqual(
      net.parameters.map((p) => p.data.dataSync()),
    );
  });

  it.each(makers)('%s takes as many as it has couplings', (name, make, count) => {
    const all: Conditioner[] = [];
    make((shape) => {
      all.push(dense(shape));
      return all.at(-1)!;
    });
    expect(make(all).parameters.filter((p) => p.name.endsWith('w3'))).toHaveLength(count);
    const type = name.split(',')[0]!;
    expect(() => make(all.slice(1))).toThrow(
      new RegExp(`^${type}: conditioner ${count - 1} is undefined; expected a conditioner`),
    );
    expect(describeModule(make([...all, all[0]!])).conditioner).toHaveLength(count);
  });

  it('of a function with a name stand in files by that', () => {
    const factory = named('dense', (shape: ConditionerShape) => dense(shape));
    const net = new Glow({ ...sizes, scales: 1, steps: 1, conditioner: factory });
    expect(describeModule(net).conditioner).toEqual({ $named: 'dense' });
  });

  it('may be replaced, and are again others in a copy of that', () => {
    const net = new Glow({ ...sizes, scales: 1, steps: 2, conditioner: dense });
    const path = 'scales.0.steps.1.coupling.conditioner';
    const wide = new DenseBlock({ inChannels: 1, hidden: 7, outChannels: 2 });
    const other = replacePart(net, path, wide);
    const config = describeModule(other);
    expect(config.$parts).toHaveProperty([path]);
    expect(describeModule(build(config, { modules: networkCatalogue }))).toEqual(config);
    const x = tensor([1, 2], [1, 2]);
    expect(copyModule(other).forward(x).y.dataSync()).toEqual(other.forward(x).y.dataSync());
  });

  it('are asked of a function by couplings as well', () => {
    const asked: ConditionerShape[] = [];
    const conditioner: ConditionerFactory = (shape) => {
      asked.push(shape);
      return dense(shape);
    };
    new GlowCoupling({ channels: 3, split: [2, 1], ndims: 0, conditioner });
    new IrimCoupling({ channels: 3, ndims: 0, conditioner });
    expect(asked).toEqual([
      { inChannels: 2, outChannels: 2, ndims: 0, contextChannels: 0 },
      { inChannels: 1, outChannels: 2, ndims: 0, contextChannels: 0 },
    ]);
  });

  it('are the forces of hyperbolic networks', () => {
    const conditioner = ({ inChannels, outChannels, ndims }: ConditionerShape) =>
      new ResidualBlock({ inChannels, outChannels, ndims, hidden: 2, random });
    const architecture = [{ resolution: 'halve' }, { hidden: 3 }] as const;
    const net = new HyperbolicNetwork({ channels: 1, ndims: 1, architecture, conditioner });
    const config = describeModule(net);
    expect(config.conditioner).toMatchObject([{ inChannels: 2 }, { outChannels: 2 }]);
    expect(describeModule(build(config, { modules: networkCatalogue }))).toEqual(config);
    const x = zeros([1, 1, 4]);
    expect(net.forward([x, x]).y[0].shape).toEqual([1, 2, 2]);
    const wide = () => new DenseBlock({ inChannels: 2, outChannels: 3, hidden: 2 });
    expect(() =>
      new HyperbolicNetwork({ channels: 1, ndims: 1, architecture, conditioner: wide }).forward([
        x,
        x,
      ]),
    ).toThrow(/of HyperbolicNetwork/);
  });

  it('see what of the context they like', () => {
    const net = new ConditionalGlow({ ...small, contextChannels: 3, conditioner: dense });
    expect(net.forward(zeros([2, 2]), zeros([2, 3])).y.shape).toEqual([2, 2]);
    const blind = ({ inChannels, outChannels }: ConditionerShape) =>
      new DenseBlock({ inChannels, outChannels, hidden: 2 });
    expect(() => new ConditionalGlow({ ...small, contextChannels: 3, conditioner: blind })).toThrow(
      /none of its conditioners uses a context/,
    );
  });
});

describe('bad conditioners are told', () => {
  it('by the path where their channels are others', () => {
    const wrong = ({ inChannels }: ConditionerShape) =>
      new DenseBlock({ inChannels, outChannels: 3, hidden: 2 });
    const net = new Glow({ ...small, conditioner: wrong });
    expect(() => net.forward(zeros([2, 2]))).toThrow(
      /returned \[2, 3\]; expected 2 channels.*at 'scales\.0\.steps\.0\.coupling' of Glow/,
    );
    const deaf = ({ outChannels }: ConditionerShape) =>
      new DenseBlock({ inChannels: 4, outChannels, hidden: 2 });
    expect(() => new Glow({ ...small, conditioner: deaf }).forward(zeros([2, 2]))).toThrow(
      /expected \[N, 4\].*at 'scales\.0\.steps\.0\.coupling\.conditioner' of Glow/,
    );
    const silent = () =>
      new CustomBlock({
        forward: (x) => ({ y: affine(x, 1), saved: {} }),
        backward: (dy) => ({ dx: affine(dy, 1) }),
      });
    expect(() => new Glow({ ...small, conditioner: silent }).forward(zeros([2, 2]))).toThrow(
      /returned \[2, 1\]; expected 2 channels.*at 'scales\.0\.steps\.0\.coupling' of Glow/,
    );
  });

  it('where a function gives something else, or what is given is none', () => {
    const nothing = (() => undefined) as unknown as ConditionerFactory;
    expect(() => new Glow({ ...small, conditioner: nothing })).toThrow(
      /^Glow: conditioner 0 is undefined; expected a conditioner/,
    );
    const word = 'resnet' as unknown as ConditionerFactory;
    expect(() => new Glow({ ...small, conditioner: word })).toThrow(
      /^Glow: conditioner is 'resnet'; expected a list/,
    );
    expect(() => new GlowCoupling({ channels: 2, conditioner: word })).toThrow(
      /conditioner is 'resnet'; expected a conditioner/,
    );
    expect(
      () => new Flattened(new ConditionalHint({ ...sizes, conditioner: [] }), [[2], [2]]),
    ).toThrow(/ConditionalHint: conditioner 0 is undefined/);
  });
});
