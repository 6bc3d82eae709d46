/** Right calls of `@invnet/tensor`. */
import * as api from '@invnet/tensor';
import { nativeKernels } from '../../../../packages/tensor/tests/addon.ts';
import { type Call, type Calls, call, make, on } from './call.ts';

const unary = [
  'abs',
  'clone',
  'exp',
  'log',
  'neg',
  'reciprocal',
  'relu',
  'sigmoid',
  'sign',
  'softplus',
];
const others = [
  'sqrt',
  'square',
  'tanh',
  'zerosLike',
  'sumPerSample',
  'sumPerChannel',
  'hasFusedPasses',
];
const binary = [
  'add',
  'div',
  'maximum',
  'minimum',
  'mul',
  'reluGrad',
  'sigmoidGrad',
  'sub',
  'tanhGrad',
];

/** Calls of all exports, of tensors on the current backend. */
export function tensorCalls(): Calls {
  const r = new api.RandomStream(1);
  const x = r.uniform([2, 3, 4, 4], 0.5, 1);
  const [w, m, rt] = [r.normal([5, 3, 3, 3]), r.normal([3, 4]), r.normal([2, 4, 4, 4])];
  const [dy, v, changed] = [r.normal([2, 5, 4, 4]), r.normal([3]), r.normal([3])];
  const moments = { target: api.ones([3]), m: api.zeros([3]), v: api.zeros([3]), grad: v, step: 1 };
  const settings = { learningRate: 0, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, gradientScale: 1 };
  const [coefficients, kept] = [api.full([2, 5, 6], 0.5), api.ones([2, 1, 2, 3, 4])];
  const backend = api.getBackend();
  const dtype = api.currentPlacement().dtype;
  const nan = { may: ['nan'] } as const;
  const simple = [...unary, ...others].map((op) => [op, [call(Reflect.get(api, op), [x])]]);
  const pairs = binary.map((op) => [op, [call(Reflect.get(api, op), [x, x])]]);
  const errors = Object.entries(api).filter(([name]) => name.endsWith('Error'));
  return {
    ...Object.fromEntries([...simple, ...pairs]),
    ...Object.fromEntries(errors.map(([name, E]) => [name, [make(E, [])]])),
    ...checks(),
    requireStream: [call(api.requireStream, ['test', r])],
    roundTo: [call(api.roundTo, ['float32', 0.1], nan)],
    nextAbove: [call(api.nextAbove, ['float32', 0.1], nan)],
    nextBelow: [call(api.nextBelow, ['float32', 0.1], nan)],
    isTemporary: [call(api.isTemporary, [x])],
    requireOptions: [
      call((o: unknown) => api.requireOptions('test', o as never, ['a']), [{ a: 1 }]),
    ],
    tensor: [
      call(
        api.tensor,
        [
          [1, 2, 3, 4],
          [2, 2],
        ],
        nan,
      ),
      call(
        api.tensor,
        [
          [
            [1, 2],
            [3, 4],
          ],
        ],
        nan,
      ),
    ],
    full: [call(api.full, [[2, 3], 0.5])],
    zeros: [call(api.zeros, [[2, 3]]), call(api.zeros, [[2, 3], { backend, dtype }])],
    ones: [call(api.ones, [[2, 3], x])],
    affine: [call(api.affine, [x, 2, 1])],
    leakyRelu: [call(api.leakyRelu, [x, 0.1])],
    power: [call(api.power, [x, 2])],
    accumulate: [call(api.accumulate, [changed, v, 0])],
    assign: [call(api.assign, [changed, v])],
    requireSameShape: [call(api.requireSameShape, ['test', x, x])],
    requireTensor: [call(api.requireTensor, ['test', x, 'x'])],
    adamUpdate: [call(api.adamUpdate, [[moments], settings], nan)],
    permute: [call(api.permute, [x, [3, 1, 0, 2]])],
    slice: [call(api.slice, [x, 1, 1, 2])],
    split: [call(api.split, [x, 1, [1, 2]])],
    concat: [call(api.concat, [[x, x], 1])],
    sum: [call(api.sum, [x, { axes: [1], keepDims: true }])],
    mean: [call(api.mean, [x, { axes: [1] }])],
    max: [call(api.max, [x, { axes: [-1] }])],
    sumSquares: [call(api.sumSquares, [x, { axes: [0] }])],
    matmul: [call(api.matmul, [m, m, { transposeA: true, transposeB: false }])],
    conv: [
      call(api.conv, [x, w, { stride: 1, padding: 1, bias: api.ones([5]), activation: 'relu' }]),
    ],
    convInputGrad: [call(api.convInputGrad, [dy, w, [2, 3, 4, 4], { padding: [1, 1], relu: x }])],
    convFilterGrad: [call(api.convFilterGrad, [x, dy, [5, 3, 3, 3], { padding: 1 }])],
    fusedCoupling: [call(api.fusedCoupling, [rt, { low: 0.1, high: 1 }, 'forward', 1])],
    fusedChannelAffine: [call(api.fusedChannelAffine, [v, v, 'inverse'])],
    fusedReflections: [call(api.fusedReflections, [[v, v, api.ones([3])]])],
    addToFirstChannels: api.hasFusedPasses(x) ? [call(api.addToFirstChannels, [dy, x])] : [],
    laplacianWeights: [],
    requireLeapfrog: [call(api.requireLeapfrog, ['test', x])],
    leapfrog: [
      call(
        api.leapfrog,
        [
          {
            ...{ gain: coefficients, decay: coefficients, fields: [2, 1], border: 1 },
            ...{ spacing: [1, 2], steps: 3, reverse: true },
            inject: { points: [[0, 0]], series: api.ones([2, 1, 3, 1]) },
            record: { points: [[1, 2.5]], every: 2, series: api.ones([2, 1, 2, 1]) },
            scatter: { potential: api.ones([2, 3, 4]), field: kept },
            ...{ keep: api.zeros([2, 1, 2, 3, 4]) },
            image: { sum: api.zeros([2, 1, 3, 4]), field: kept },
            state: { previous: api.zeros([2, 1, 5, 6]), current: api.zeros([2, 1, 5, 6]) },
          },
        ],
        nan,
      ),
    ],
    checkShape: [call(api.checkShape, ['test', [2, 3]])],
    sizeOf: [call(api.sizeOf, [[2, 3]], nan)],
    formatShape: [call(api.formatShape, [[2, 3]])],
    formatValue: [call(api.formatValue, [[2, 3]])],
    innerProduct: [
      call(api.innerProduct, [
        [x, m],
        [x, m],
      ]),
    ],
    norm: [call(api.norm, [[x, m]])],
    withNumbers: [call(api.withNumbers, [x, (numbers: api.NumericArray) => numbers.length])],
    tidy: [call(api.tidy, [() => api.exp(x)])],
    keep: [call(api.keep, [v])],
    collectTensors: [call((v: unknown) => api.collectTensors(v, new Set()), [[{ x }]])],
    backendInfo: [call(api.backendInfo, [])],
    currentPlacement: [call(api.currentPlacement, [])],
    getBackend: [call(api.getBackend, [])],
    memory: [call(api.memory, [])],
    resetPeakMemory: [call(api.resetPeakMemory, [])],
    openNativeKernels: nativeKernels().map(({ path, build }) =>
      call(api.openNativeKernels, [path, build]),
    ),
    registerBackend: [call(api.registerBackend, ['tried', () => backend])],
    setBackend: [call(api.setBackend, [backend, { dtype }])],
    withBackend: [call(api.withBackend, [backend, () => 1])],
    MemoryAccount: [make(api.MemoryAccount, [])],
    ReferenceBackend: [make(api.ReferenceBackend, [{ maxBytes: 1000 }])],
    WasmBackend: [call(api.WasmBackend.create.bind(api.WasmBackend), [{ maxBytes: 2 ** 20 }])],
    Tensor: [
      on(x, 'reshape', [[6, -1]]),
      on(x, 'data', []),
      on(x, 'dataSync', []),
      on(x, 'toString', []),
    ],
    RandomStream: streams(),
  };
}

/** The checks that packages share: what comes is what they are about. */
function checks(): Calls {
  const calls: Record<string, readonly unknown[]> = {
    requireAtLeast: [1, 0],
    requireBetween: [1, 0, 2],
    requireBoolean: [true],
    requireFinite: [1],
    requireFunction: [() => 1],
    requireSynchronous: [1],
    requireList: [[1]],
    requireOneOf: ['a', ['a', 'b']],
    requireBytes: [Uint8Array.of(1)],
    requireRecord: [{ a: 1 }],
    requireWhole: [1, 0, 2],
  };
  return Object.fromEntries(
    Object.entries(calls).map(([name, args]) => {
      const check = Reflect.get(api, name);
      return [name, [call((v: unknown) => check('test', 'value', v, ...args.slice(1)), [args[0]])]];
    }),
  );
}

function streams(): Call[] {
  const stream = new api.RandomStream(2);
  return [
    make(api.RandomStream, [1, 4]),
    call(api.RandomStream.from.bind(api.RandomStream), [{ seed: 1, block: 2 }]),
    on(stream, 'uniform', [[2, 3], 0, 1]),
    on(stream, 'normal', [[2, 3], 0.5]),
    on(stream, 'uniformArray', [3, 0, 1]),
    on(stream, 'normalArray', [3, 0.5]),
    on(stream, 'permutation', [4]),
    on(stream, 'skip', [4]),
  ];
}
