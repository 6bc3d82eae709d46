/** Right calls of `@invnet/layers`. */
import * as api from '@invnet/layers';
import { assign, ones, RandomStream, type Shape, type Tensor, zeros } from '@invnet/tensor';
import { type Call, type Calls, call, make, on } from './call.ts';

/** Calls of all exports. */
export function layerCalls(): Calls {
  return {
    ...classes(),
    ...treeCalls(),
    ...stateCalls(),
    ...activationCalls(),
  };
}

const random = () => new RandomStream(3);

/** The six methods of a map, on a state of a shape, and what goes with them. */
export function methodsOf<S extends api.State>(
  f: api.Bijection<S>,
  x: S,
  context?: Tensor,
): Call[] {
  const undo = () => api.zeroGrad(f.parameters);
  const { y, logdet: dlogdet } = f.forward(x, context);
  const options = { dlogdet, ...(context && { context }) };
  const direction = (v: api.State) => ({
    x: v,
    parameters: new Map(f.parameters.slice(0, 1).map((p) => [p, p.data])),
    ...(context && { context }),
  });
  const given = context ? [context] : [];
  return [
    on(f, 'forward', [x, ...given]),
    on(f, 'inverse', [y, ...given], { may: ['nan'] }),
    on(f, 'backward', [y, y, options], { undo, may: ['nan'] }),
    on(f, 'backwardInverse', [x, x, options], { undo, may: ['nan'] }),
    on(f, 'jvp', [x, direction(x), ...given]),
    on(f, 'jvpInverse', [y, direction(y), ...given], { may: ['nan'] }),
    on(f, 'outputShape', [api.shapeOf(x)]),
    on(f, 'inputShape', [api.shapeOf(y)]),
  ];
}

/** The methods of a conditioner. */
export function blockMethods(g: api.Conditioner, x: Tensor, context?: Tensor): Call[] {
  const given = context ? [context] : [];
  const { y, saved } = g.forward(x, context);
  return [
    on(g, 'forward', [x, ...given]),
    on(g, 'backward', [y, saved], { undo: () => api.zeroGrad(g.parameters) }),
    on(g, 'jvp', [x, { x, ...(context && { context }) }, ...given]),
    on(g, 'outputShape', [x.shape]),
  ];
}

function classes(): Calls {
  const r = random();
  const at = (shape: Shape) => r.uniform(shape, 0.1, 0.9);
  const [x, v, pair] = [at([2, 4, 4, 4]), at([2, 4]), [at([2, 2]), at([2, 2])] as const];
  const [hidden, sizes] = [2, { hidden: 2, ndims: 0 }];
  const dense = { inChannels: 2, hidden, outChannels: 2 };
  const block = new api.DenseBlock(dense);
  const affine = {
    channels: [2, 2],
    contextChannels: 0,
    ...sizes,
    scaleFunction: api.sigmoid({ low: 0.5 }),
  };
  const coupling = new api.BasicCoupling({ ...affine, channels: [2, 2] });
  const glow = { channels: 4, hidden, ndims: 0, scaleFunction: api.expClamp(), random: random() };
  const hint = { ...glow, depth: 1, shared: false };
  const norm = () => new api.ActNorm({ channels: 4 });
  const part = new api.Parameter('own', ones([1]));
  const custom = {
    forward: (u: Tensor) => ({ y: api.sumOfTerms(u, u), saved: {} }),
    backward: (dy: Tensor) => ({ dx: dy }),
    jvp: (u: Tensor) => ({ y: u }),
    outputShape: (s: Shape) => s,
    parameters: [part],
    usesContext: false,
  };
  const maps = { first: new api.Identity(), second: new api.Identity() };
  const chain = new api.Sequential([norm(), new api.Identity()]);
  const squeezed = new api.HaarSqueeze();
  const image = { inChannels: 4, hidden, outChannels: 2, ndims: 2, random: random() };
  const residual = { ...image, kernel1: 3, kernel2: 1, stride: 1, outputActivation: 'galu' };
  return {
    // Combinators.
    ChannelHalves: [
      make(api.ChannelHalves, [coupling, [2, 2]]),
      ...methodsOf(new api.ChannelHalves(coupling, [2, 2]), v),
    ],
    halvesOf: [call(api.halvesOf, [5])],
    Composite: [],
    FirstHalf: [
      make(api.FirstHalf, [norm()]),
      ...methodsOf(new api.FirstHalf(new api.Identity()), v),
    ],
    Flattened: [
      make(api.Flattened, [coupling, [[2], [2]], [[2], [2]]]),
      ...methodsOf(new api.Flattened(coupling, [[2], [2]]), v),
    ],
    flattenPair: [call(api.flattenPair, [pair])],
    unflattenPair: [call(api.unflattenPair, [v, [[1], [3]]])],
    Identity: [make(api.Identity, []), ...methodsOf(new api.Identity(), x)],
    JoinedChannels: [
      make(api.JoinedChannels, [norm(), [2, 2]]),
      ...methodsOf(new api.JoinedChannels(norm(), [2, 2]), pair),
    ],
    Parallel: [
      make(api.Parallel, [maps]),
      make(api.Parallel, [maps.first, maps.second]),
      ...methodsOf(new api.Parallel(maps), pair),
    ],
    Reversed: [
      make(api.Reversed, [{ inner: chain }]),
      ...methodsOf(new api.Reversed({ inner: chain }), v),
    ],
    reverse: [call(api.reverse, [chain])],
    compose: [call(api.compose, [maps.first, maps.second])],
    Sequential: [
      make(api.Sequential, [maps]),
      make(api.Sequential, [[maps.first, maps.second]]),
      on(chain, 'at', [-1]),
      on(chain, 'slice', [0, 1]),
      ...methodsOf(chain, v),
    ],
    Unflattened: [
      make(api.Unflattened, [norm(), [[1], [3]]]),
      ...methodsOf(new api.Unflattened(norm(), [[2], [2]]), pair),
    ],
    Swapped: [make(api.Swapped, [coupling]), ...methodsOf(new api.Swapped(coupling), pair)],
    asMethod: [call(api.asMethod, [norm(), () => 1])],
    requireName: [call(api.requireName, ['Own', 'w1'])],
    // Conditioners.
    AsConditioner: [
      make(api.AsConditioner, [{ inner: chain }]),
      ...blockMethods(new api.AsConditioner({ inner: norm() }), v),
    ],
    asConditioner: [call(api.asConditioner, [chain])],
    BatchNorm: [
      make(api.BatchNorm, [{ channels: 4, momentum: 0.1, epsilon: 1e-5 }]),
      ...blockMethods(new api.BatchNorm({ channels: 4 }), v),
    ],
    ConditionalResidualBlock: [
      make(api.ConditionalResidualBlock, [conditional(residual)]),
      ...blockMethods(
        new api.ConditionalResidualBlock({
          inChannels: 4,
          hidden,
          outChannels: 2,
          contextSize: 3,
          size: [4, 4],
        }),
        x,
        r.normal([2, 3]),
      ),
    ],
    Conditioner: [],
    CustomBlock: [make(api.CustomBlock, [custom]), ...blockMethods(new api.CustomBlock(custom), v)],
    defaultConditioner: [
      call(api.defaultConditioner, [{ ...dense, contextChannels: 1, ndims: 0 }]),
    ],
    DenseBlock: [make(api.DenseBlock, [dense]), ...blockMethods(block, pair[0])],
    ResNet: [
      make(api.ResNet, [{ ...image, blocks: 1, kernel: 3 }]),
      ...blockMethods(new api.ResNet({ ...image, blocks: 1 }), x),
    ],
    ResidualBlock: [
      make(api.ResidualBlock, [residual]),
      ...blockMethods(new api.ResidualBlock(image), x),
    ],
    SymmetricBlock: [
      make(api.SymmetricBlock, [{ channels: 4, hidden, ndims: 2, kernel: 3, random: random() }]),
      ...blockMethods(new api.SymmetricBlock({ channels: 4 }), x),
    ],
    WithContext: [
      make(api.WithContext, [block, { contextChannels: 1 }]),
      ...blockMethods(new api.WithContext(block), at([2, 1]), at([2, 1])),
    ],
    // Couplings.
    AdditiveCoupling: [
      make(api.AdditiveCoupling, [block]),
      ...methodsOf(new api.AdditiveCoupling(block), pair),
    ],
    affineDefaults: [call(api.affineDefaults, [sizes], { may: ['nan'] })],
    affineOptions: [],
    BasicCoupling: [
      make(api.BasicCoupling, [affine]),
      make(api.BasicCoupling, [{ channels: [2, 1], conditioner: block }]),
      ...methodsOf(coupling, pair),
    ],
    ConditionalHintCoupling: [
      make(api.ConditionalHintCoupling, [{ ...hint, conditionChannels: 4, permute: true }]),
      ...methodsOf(new api.ConditionalHintCoupling({ channels: 2, ...sizes }), pair),
    ],
    ConditionalGlowCoupling: [
      make(api.ConditionalGlowCoupling, [
        { ...glow, contextChannels: 2, split: [1, 3], moves: 'first' },
      ]),
      ...methodsOf(new api.ConditionalGlowCoupling({ ...glow, contextChannels: 2 }), v, pair[1]),
    ],
    GlowCoupling: [
      make(api.GlowCoupling, [{ ...glow, split: [1, 3], moves: 'first' }]),
      ...methodsOf(new api.GlowCoupling(glow), v),
    ],
    HintCoupling: [
      make(api.HintCoupling, [{ ...hint, permute: 'both' }]),
      ...methodsOf(new api.HintCoupling({ ...glow, permute: 'lower' }), v),
    ],
    hintDefaults: [call(api.hintDefaults, [hint], { may: ['nan'] })],
    hintOptions: [],
    channelsAfter: [call(api.channelsAfter, [4, 'double', 2])],
    HyperbolicLayer: [
      make(api.HyperbolicLayer, [
        {
          channels: 4,
          hidden,
          ndims: 2,
          kernel: 3,
          resolution: 'halve',
          stepSize: 1,
          random: random(),
        },
      ]),
      ...methodsOf(new api.HyperbolicLayer({ channels: 4, hidden }), [x, x]),
    ],
    IrimCoupling: [
      make(api.IrimCoupling, [{ channels: 4, ...sizes, random: random() }]),
      make(api.IrimCoupling, [{ channels: 4, conditioner: block }]),
      ...methodsOf(new api.IrimCoupling({ channels: 4, ...sizes }), v),
    ],
    Leapfrog: [
      make(api.Leapfrog, [{ force: block, stepSize: 0.5 }]),
      ...methodsOf(new api.Leapfrog({ force: block, stepSize: 0.5 }), pair),
    ],
    RecursiveCoupling: [
      make(api.RecursiveCoupling, [{ ...maps, coupling }]),
      ...methodsOf(new api.RecursiveCoupling({ ...maps, coupling }), pair),
    ],
    // Element-wise and linear maps, squeezes.
    Elementwise: [
      make(api.Elementwise, [api.tanh()]),
      ...methodsOf(new api.Elementwise(api.tanh()), v),
    ],
    Logit: [make(api.Logit, [{ lambda: 0.1 }]), ...methodsOf(new api.Logit(), v)],
    ActNorm: [
      make(api.ActNorm, [{ channels: 4 }]),
      on(norm(), 'initialize', [v]),
      ...methodsOf(norm(), v),
    ].filter(({ name }) => name !== 'ActNorm.initialize'),
    AffineLayer: [
      make(api.AffineLayer, [{ channels: 4, size: [4, 4] }]),
      ...methodsOf(new api.AffineLayer({ channels: 4 }), v),
    ],
    Conv1x1: [
      make(api.Conv1x1, [{ channels: 4, parametrization: 'plu', frozen: true, random: random() }]),
      make(api.Conv1x1, [{ channels: 2, parametrization: 'plu', rows: [0, 1], signs: [1, -1] }]),
      ...methodsOf(new api.Conv1x1({ channels: 4, parametrization: 'plu' }), v),
      ...methodsOf(new api.Conv1x1({ channels: 4 }), x),
    ],
    invertTriangular: [call(api.invertTriangular, [ones([2, 2]), ones([2, 2])])],
    conv1x1Of: [call(api.conv1x1Of, [[1, 2, 3, 4], { frozen: true }])],
    Permutation: [
      make(api.Permutation, [{ channels: 4, order: [3, 0, 2, 1], random: random() }]),
      ...methodsOf(new api.Permutation({ channels: 4, order: 'reversed' }), v),
    ],
    HaarSqueeze: [make(api.HaarSqueeze, []), ...methodsOf(squeezed, x)],
    ShuffleSqueeze: [
      make(api.ShuffleSqueeze, [{ pattern: 'patch', order: 'channel' }]),
      ...methodsOf(new api.ShuffleSqueeze(), x),
    ],
    Squeeze: [],
    WaveletSqueeze: [
      make(api.WaveletSqueeze, [{ wavelet: 'db2' }]),
      ...methodsOf(new api.WaveletSqueeze({ wavelet: 'db2' }), x),
    ],
  };
}

/** What a `ConditionalResidualBlock` takes instead of the number of axes. */
function conditional({ ndims: _, ...rest }: { readonly ndims: number }) {
  return { ...rest, contextSize: 3, size: [4, 4], contextChannels: 2 };
}

function construct(limit: never): void {
  using construction = new api.Construction(limit);
  construction.complete();
}

function treeCalls(): Calls {
  const net = new api.Sequential({
    norm: new api.ActNorm({ channels: 2 }),
    same: new api.Identity(),
  });
  const set = new api.ActNorm({ channels: 2 });
  const { parameters } = net;
  const [p] = parameters as [api.Parameter];
  const undo = () => api.zeroGrad(parameters);
  const [x, g] = [random().normal([4, 2]), random().normal([2])];
  const vectors = [zeros([2]), ones([3])];
  const config = { $type: 'ActNorm', channels: 3 };
  const build = { modules: api.layerCatalogue, named: {}, random: random(), largestSize: 100 };
  const buffer = new api.TensorBuffer('running', ones([2]));
  const flag = new api.Flag('on', true);
  const map = new api.ParameterMap([[p, 1]]);
  const step = new api.TrainingStep();
  const names = { names: ['a', 'b'], partial: true };
  const unfreeze = { undo: () => api.unfreeze(net, '**') && undefined };
  return {
    layerCatalogue: [],
    Bijection: [],
    PairBijection: [],
    Module: [call(api.Module.setMode, [net, true])],
    ModuleBuffer: [],
    requireBijection: [call(api.requireBijection, ['test', 'map', net, 1])],
    requireConditioner: [
      call(
        (g: unknown) => api.requireConditioner('test', 'g', g as never),
        [new api.DenseBlock({ inChannels: 1, hidden: 1, outChannels: 1 })],
      ),
    ],
    requireModule: [call(api.requireModule, ['test', net])],
    requireParameters: [
      call((list: unknown) => api.requireParameters('test', list as never), [parameters]),
    ],
    requireActivation: [
      call((f: unknown) => api.requireActivation('test', 'f', f as never), [api.relu()]),
    ],
    requireChannels: [call((s: unknown) => api.requireChannels('test', s as never, 3), [[2, 3]])],
    requireDimensions: [call((n: unknown) => api.requireDimensions('test', n as never, 1), [2])],
    requireModuleOptions: [
      call((o: unknown) => api.requireModuleOptions('test', o as never, ['a']), [{ a: 1 }]),
    ],
    requireSpatialSizes: [
      call((sizes: unknown) => api.requireSpatialSizes('test', 'size', sizes as never), [[2, 2]]),
    ],
    requireRepeats: [call((n: unknown) => api.requireRepeats('test', 'n', n as never), [2])],
    requireSizes: [call((s: unknown) => api.requireSizes('test', { s: s as never }), [2])],
    Construction: [call(construct, [100])],
    requireWhole: [call((n: unknown) => api.requireWhole('test', 'n', n as never, 1), [2])],
    activeStep: [call(api.activeStep, [])],
    outsideSteps: [call(api.outsideSteps, [() => 1])],
    Keeping: [
      make(api.Keeping, [{ norm: 'inputs' }]),
      on(new api.Keeping('all'), 'run', [() => 1]),
    ],
    keeping: [call(api.keeping, [{ norm: 'inputs' }, () => 1])],
    TrainingStep: [
      make(api.TrainingStep, [{ size: 2, average: () => {} }]),
      on(step, 'run', [() => 1]),
      on(step, 'gather', [buffer, g, 0.1], { undo: () => step.discard() }),
    ],
    build: [call(api.build, [config, build])],
    ConfigurationError: [make(api.ConfigurationError, [])],
    configDifferences: [call(api.configDifferences, [config, config, names])],
    copyModule: [call(api.copyModule, [net])],
    copyModuleBy: [call(api.copyModuleBy, [net, assign])],
    replacePart: [call(api.replacePart, [net, 'norm', new api.ActNorm({ channels: 2 })])],
    describe: [call(api.describe, [net])],
    countParameters: [call(api.countParameters, [net, { trained: true }])],
    freeze: [call(api.freeze, [net, 'norm.*'], unfreeze)],
    unfreeze: [call(api.unfreeze, [net, '**'])],
    withoutGradients: [call(api.withoutGradients, [net, () => 1])],
    initialize: [
      call(api.initialize, [net, x, { context: undefined }], {
        undo: () => api.resetInitialization(net),
      }),
    ],
    initializeSync: [
      call(api.initializeSync, [net, x], { undo: () => api.resetInitialization(net) }),
    ],
    isInitialized: [call(api.isInitialized, [net])],
    resetInitialization: [call(api.resetInitialization, [net])],
    moduleAt: [call(api.moduleAt, [net, 'norm'])],
    summary: [call(api.summary, [net, { input: [2, 2] }])],
    Flag: [make(api.Flag, ['on', true]), on(flag, 'write', [[1]])],
    TensorBuffer: [
      make(api.TensorBuffer, ['running', ones([2])]),
      on(buffer, 'write', [[1, 2]], { may: ['nan'] }),
      on(buffer, 'assign', [ones([2])]),
    ].slice(1),
    isModuleType: [call(api.isModuleType, [api.ActNorm])],
    moduleOf: [call(api.moduleOf, [parameters])],
    namedBuffers: [call(api.namedBuffers, [set])],
    namedParameters: [call(api.namedParameters, [set])],
    placesIn: [call(api.placesIn, [net])],
    named: [call(api.named, ['a name', () => 1])],
    Parameter: [
      make(api.Parameter, ['w', p, { frozen: false, onChange: () => {} }]),
      on(p, 'accumulateGrad', [g, 2], { undo, may: ['nan'] }),
      on(p, 'attachGrad', [g]),
      on(p, 'takeGrad', [g]),
      on(p, 'assign', [p.data]),
    ].filter(({ name }) => !name.endsWith('attachGrad') && !name.endsWith('takeGrad')),
    ParameterMap: [
      on(map, 'get', [p]),
      on(map, 'has', [p]),
      on(map, 'set', [p, 2]),
      on(map, 'delete', [p]),
    ],
    zeroGrad: [call(api.zeroGrad, [parameters])],
    addVectors: [call(api.addVectors, [vectors, vectors, 0.5], { may: ['nan'] })],
    dotVectors: [call(api.dotVectors, [vectors, vectors])],
    flatten: [call(api.flatten, [vectors])],
    gradients: [call(api.gradients, [parameters])],
    normOfVector: [call(api.normOfVector, [vectors])],
    scaleVector: [call(api.scaleVector, [vectors, 2], { may: ['nan'] })],
    unflatten: [call(api.unflatten, [zeros([5]), vectors])],
  };
}

function stateCalls(): Calls {
  const r = random();
  const [x, y] = [r.normal([2, 3, 4]), r.normal([2, 3, 4])];
  const double = (t: Tensor) => api.sumOfTerms(t, t, t);
  return {
    alongChannels: [call(api.alongChannels, [r.normal([3]), x])],
    channelSums: [call(api.channelSums, [x])],
    perSample: [call(api.perSample, [r.normal([2]), x])],
    positions: [call(api.positions, [x])],
    sumOfTerms: [call(api.sumOfTerms, [x, x, y])],
    disposeState: [],
    isPair: [call(api.isPair, [[x, y]])],
    mapShape: [
      call(api.mapShape, [
        [
          [2, 3],
          [2, 3],
        ],
        (s: Shape) => s,
      ]),
    ],
    mapState: [call(api.mapState, [[x, y], double])],
    shapeOf: [call(api.shapeOf, [[x, y]])],
    shapesIn: [
      call(api.shapesIn, [
        [
          [2, 3],
          [2, 3],
        ],
      ]),
    ],
    tensorsOf: [call(api.tensorsOf, [[x, y]])],
    zipStates: [
      call(api.zipStates, [[x, y], [x, y], (a: Tensor, b: Tensor) => api.sumOfTerms(a, a, b)]),
    ],
    addOwned: [],
    evaluate: [
      call(api.evaluate, [
        new api.DenseBlock({ inChannels: 2, hidden: 2, outChannels: 2 }),
        r.normal([1, 2]),
      ]),
    ],
  };
}

function activationCalls(): Calls {
  const x = random().uniform([2, 3], 0.1, 0.5);
  const methods = (f: api.Activation) =>
    ['apply', 'invert'].flatMap((name) => (name in f ? [on(f, name, [x], { may: ['nan'] })] : []));
  return {
    activationTypes: [],
    relu: [call(api.relu, []), ...methods(api.relu())],
    tanh: [call(api.tanh, []), ...methods(api.tanh())],
    sigmoid2: [call(api.sigmoid2, []), ...methods(api.sigmoid2())],
    leakyRelu: [call(api.leakyRelu, [{ slope: 0.1 }]), ...methods(api.leakyRelu())],
    softplus: [call(api.softplus, [{ low: 0.1 }]), ...methods(api.softplus())],
    sigmoid: [call(api.sigmoid, [{ low: 0.1, high: 1 }]), ...methods(api.sigmoid())],
    exp: [call(api.exp, [{ low: 0.1 }]), ...methods(api.exp())],
    expClamp: [call(api.expClamp, [{ clamp: 1, rate: 2 }]), ...methods(api.expClamp())],
    softsignClamp: [call(api.softsignClamp, [{ clamp: 1 }]), ...methods(api.softsignClamp())],
    atanClamp: [call(api.atanClamp, [{ clamp: 1, rate: 2 }]), ...methods(api.atanClamp())],
  };
}
