/** Right calls of `@invnet/jvp`, `@invnet/train` and `@invnet/datasets`. */
import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import * as datasets from '@invnet/datasets';
import * as devito from '@invnet/devito';
import * as flows from '@invnet/flows';
import * as jvp from '@invnet/jvp';
import * as layers from '@invnet/layers';
import * as native from '@invnet/native';
import * as onnx from '@invnet/onnx';
import { mul, RandomStream, type Tensor, zeros } from '@invnet/tensor';
import * as train from '@invnet/train';
import * as trainProgress from '@invnet/train/progress';
import { nativeKernels } from '../../../../packages/tensor/tests/addon.ts';
import { type Calls, call, make, on } from './call.ts';

const random = () => new RandomStream(7);

/** Calls of all exports of jvp. */
export function operatorCalls(): Calls {
  const r = random();
  const [x, b] = [r.normal([2, 2]), r.normal([2, 2])];
  const net = new layers.AffineLayer({ channels: 2 });
  const block = new layers.DenseBlock({ inChannels: 2, hidden: 1, outChannels: 1 });
  const undo = () => layers.zeroGrad(net.parameters);
  const weights = r.uniform([2, 2], 1, 2);
  const scaling = (u: Tensor) => mul(u, weights);
  const parts = {
    domain: { shape: [2, 2] },
    range: { shape: [2, 2] },
    apply: scaling,
    applyAdjoint: scaling,
  };
  const A = jvp.makeOperator<Tensor, Tensor>(parts);
  const solver = {
    tolerance: 1e-6,
    maxIterations: 3,
    onIteration: () => true,
    signal: AbortSignal.any([]),
  };
  const doubled = (u: ArrayLike<number>) => Array.from(u, (v) => 2 * v);
  const arrays = { rows: 3, cols: 3, apply: doubled, adjoint: doubled };
  const shape = [{ shape: [2] }, { shape: [3, 1] }];
  const nan = { may: ['nan'] } as const;
  const check = { x, tolerances: { roundTrip: 1 }, seed: 1 };
  return {
    float64Tolerances: [],
    CheckError: [],
    OperatorError: [make(jvp.OperatorError, [])],
    addInPlace: [call(jvp.addInPlace, [[zeros([2, 2])], [b], 0], nan)],
    copyVector: [call(jvp.copyVector, [[x, b]])],
    disposeVector: [],
    innerProduct: [call(jvp.innerProduct, [[x], [b]], nan)],
    randomOf: [call(jvp.randomOf, [shape, random()])],
    scaleInPlace: [call(jvp.scaleInPlace, [[zeros([2])], 2], nan)],
    vectorNorm: [call(jvp.vectorNorm, [[x, [b]]], nan)],
    zerosOf: [call(jvp.zerosOf, [shape])],
    makeOperator: [
      call(jvp.makeOperator, [parts]),
      on(A, 'apply', [x], nan),
      on(A.adjoint, 'apply', [x], nan),
    ],
    operatorOf: [
      call(jvp.operatorOf, [{ domain: [2], range: [2], forward: scaling, adjoint: scaling }, 2]),
    ],
    identityOperator: [call(jvp.identityOperator, [{ shape: [2, 2] }])],
    addOperators: [call(jvp.addOperators, [A, A])],
    composeOperators: [call(jvp.composeOperators, [A, A])],
    scaleOperator: [call(jvp.scaleOperator, [A, 2])],
    fromArrays: [call(jvp.fromArrays, [arrays])],
    toArrays: [call(jvp.toArrays, [A]), on(jvp.toArrays(A), 'apply', [[1, 2, 3, 4]])],
    cg: [call(jvp.cg, [A, b, solver], nan)],
    lsqr: [call(jvp.lsqr, [A, b, { ...solver, damping: 0.1 }], nan)],
    lsmr: [call(jvp.lsmr, [A, b, { ...solver, damping: 0.1 }], nan)],
    operatorNorm: [call(jvp.operatorNorm, [A, { tolerance: 0.1, maxIterations: 3, seed: 1 }], nan)],
    dotTest: [call(jvp.dotTest, [A, { trials: 1, seed: 1 }])],
    assertAdjoint: [call(jvp.assertAdjoint, [A, { trials: 1, seed: 1, tolerance: 1 }])],
    jacobian: [
      call(jvp.jacobian, [net, x, { with: 'both', logdet: true, parameters: net.parameters }]),
    ],
    gaussNewton: [
      call(jvp.gaussNewton, [
        net,
        x,
        { with: 'input', hessian: (dy: unknown) => dy, logdetWeight: 1, damping: 0.1 },
      ]),
    ],
    vjp: [call(jvp.vjp, [net, x, b, { dlogdet: zeros([2]) }], { undo })],
    checkBijection: [call(jvp.checkBijection, [new layers.Identity(), check])],
    assertBijection: [],
    checkConditioner: [
      call(jvp.checkConditioner, [block, check], { undo: () => layers.zeroGrad(block.parameters) }),
    ],
    assertConditioner: [],
  };
}

/** Calls of all exports of train. */
export async function trainCalls(): Promise<Calls> {
  const net = new layers.AffineLayer({ channels: 2 });
  const { parameters } = net;
  const optimizer = new train.Adam();
  const sgd = new train.Sgd();
  const adamw = new train.AdamW();
  const adamax = new train.Adamax();
  const psgld = new train.Psgld({ rows: 1, seed: 1 });
  const undo = () => {
    layers.zeroGrad(parameters);
    for (const each of [optimizer, sgd, adamw, adamax, psgld]) each.dispose();
  };
  const optimizerCalls = (of: train.Optimizer) => [
    on(of, 'step', [parameters, { learningRate: 0, gradientScale: 1 }], { undo }),
    on(of, 'state', [parameters]),
    on(of, 'load', [new Map(), parameters], { undo }),
  ];
  const loss = (): Tensor => {
    for (const p of parameters) p.takeGrad(zeros(p.shape));
    return zeros([]);
  };
  const one = new train.SingleProcess();
  const run = {
    parameters,
    optimizer,
    loss,
    batches: [1, 2],
    schedule: train.constant(1e-3),
    clipNorm: 1,
    startStep: 1,
    disposeBatch: () => {},
    communicator: one,
  };
  const numbers = Float64Array.of(1, 2);
  const message = [{ rank: 0, numbers }];
  const exchange = { send: message, receive: message };
  const file = {
    tensors: new Map([['a', { shape: [2], data: Float32Array.of(1, 2) }]]),
    metadata: { b: 'c' },
  };
  const bytes = train.writeSafetensors(file);
  const saved = await train.checkpointBytes({ parameters });
  await train.saveModel('kept', net);
  const load = { modules: layers.layerCatalogue, named: {} };
  const system = { may: ['system'], undo } as const;
  const fitFlow = new flows.Flow({ network: new layers.ActNorm({ channels: 2 }) });
  const fitRows = { x: { shape: [4, 2], data: Float64Array.of(1, 2, 3, 5, 4, 6, 5, 3) } };
  const fitOptions = {
    epochs: 1,
    batchSize: 2,
    validation: 0.3,
    patience: 1,
    standardize: false,
    clipNorm: 1,
    missing: 'drop',
    seed: 1,
    report: 1,
    noise: 0.1,
    average: 0.9,
    freeze: ['network.shift'],
    checkpoint: 'fitted',
    resume: false,
    communicator: one,
  };
  const fitted = async (...args: Parameters<typeof train.fit>) => {
    // Spoiled, it may be one of very many epochs.
    const fitting = train.fit(...args);
    for await (const _ of fitting) break;
    const { flow } = await fitting.result();
    // The standardization in front, where there is one, is new.
    if (flow !== fitFlow) for (const b of layers.namedBuffers(flow).values()) b.dispose();
  };
  return {
    CheckpointError: [make(train.CheckpointError, [])],
    SafetensorsFormatError: [make(train.SafetensorsFormatError, [])],
    NonFiniteLossError: [],
    Adam: [
      make(train.Adam, [{ beta1: 0.9, beta2: 0.99, epsilon: 1e-8 }]),
      ...optimizerCalls(optimizer),
    ],
    Sgd: [
      make(train.Sgd, [{ momentum: 0.9, nesterov: true, weightDecay: 1e-4 }]),
      ...optimizerCalls(sgd),
    ],
    AdamW: [
      make(train.AdamW, [{ beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.1 }]),
      ...optimizerCalls(adamw),
    ],
    Adamax: [
      make(train.Adamax, [{ beta1: 0.9, beta2: 0.99, epsilon: 1e-8 }]),
      ...optimizerCalls(adamax),
    ],
    Psgld: [
      make(train.Psgld, [{ rows: 10, seed: 1, decay: 0.9, epsilon: 1e-5 }]),
      on(psgld, 'step', [parameters, { learningRate: 0, gradientScale: 1 }], { undo }),
      on(psgld, 'state', [parameters]),
      on(psgld, 'load', [await psgld.state([]), parameters], { undo }),
    ],
    clipFactor: [call(train.clipFactor, [1, 2])],
    gradientNorm: [call(train.gradientNorm, [parameters])],
    constant: [call(train.constant, [1e-3])],
    cosine: [call(train.cosine, [{ rate: 1, finalRate: 0.1, steps: 10 }])],
    exponential: [call(train.exponential, [{ rate: 1, decay: 0.9, every: 2 }])],
    oneCycle: [
      call(train.oneCycle, [
        { rate: 1, steps: 10, rise: 0.3, startDivisor: 25, finalDivisor: 1e4 },
      ]),
    ],
    plateau: [
      call(train.plateau, [
        { rate: 1, factor: 0.5, patience: 1, threshold: 0, cooldown: 0, finalRate: 0 },
      ]),
    ],
    warmupCosine: [call(train.warmupCosine, [{ rate: 1, steps: 10, warmup: 2, finalRate: 0 }])],
    train: [call(train.train, [run], { undo })],
    writeSafetensors: [call(train.writeSafetensors, [file])],
    readSafetensors: [call(train.readSafetensors, [bytes, 'a file'])],
    checkpointBytes: [
      call(train.checkpointBytes, [{ parameters, optimizer, metadata: { a: 'b' } }], { undo }),
    ],
    restoreCheckpoint: [call(train.restoreCheckpoint, [saved, { parameters }, 'a file'])],
    saveCheckpoint: [call(train.saveCheckpoint, ['c', { parameters }], system)],
    loadCheckpoint: [call(train.loadCheckpoint, ['kept', { parameters }], system)],
    modelBytes: [call(train.modelBytes, [net, { a: 'b' }])],
    modelFromBytes: [
      call(train.modelFromBytes, [saved, { ...load, as: layers.AffineLayer }, 'a file']),
    ],
    modelInfo: [call(train.modelInfo, [saved, 'a file'])],
    saveModel: [call(train.saveModel, ['m', net, { metadata: { a: 'b' } }], system)],
    loadModel: [call(train.loadModel, ['kept', load], system)],
    CommunicatorError: [make(train.CommunicatorError, [])],
    // Made by fit.
    Fitting: [],
    fit: [call(fitted, [fitFlow, fitRows, fitOptions], { may: ['system'] })],
    // Made by communicators, of what train has checked.
    DataParallel: [],
    SingleProcess: [
      on(one, 'sum', [numbers]),
      on(one, 'startSum', [numbers]),
      on(one, 'exchange', [exchange]),
      on(one, 'broadcast', [Uint8Array.of(1)]),
      on(one, 'gather', [{ a: 1 }]),
    ],
    requireCommunicator: [
      call((c: unknown) => train.requireCommunicator('test', c as never), [one]),
    ],
    requireExchange: [call((e: unknown) => train.requireExchange(e as never, 1), [exchange])],
    requireJson: [call((v: unknown) => train.requireJson(v as never), [{ a: 1 }])],
    requireNumbers: [call((n: unknown) => train.requireNumbers('test', n as never), [numbers])],
    requireSame: [
      call((value: unknown) => train.requireSame(one, 'It', value as never), [{ a: 1 }]),
    ],
    shareOf: [call((count: unknown) => train.shareOf(one, count as never), [3])],
    saveSharedCheckpoint: [call(train.saveSharedCheckpoint, [one, 's', { parameters }], system)],
    loadSharedCheckpoint: [call(train.loadSharedCheckpoint, [one, 'kept', { parameters }], system)],
    readModelInfo: [call(train.readModelInfo, ['kept'], system)],
  };
}

/** Calls of all exports of train/progress. */
export function progressCalls(): Calls {
  const output = { write: () => true, isTTY: false };
  const display = new trainProgress.ProgressDisplay(output as never);
  const x = { shape: [4, 2], data: Float64Array.of(1, 2, 3, 5, 4, 6, 5, 3) };
  const network = new layers.Identity();
  // A fit ends but once, so each call has its own.
  const shown = async (options: Parameters<typeof trainProgress.showProgress>[1]) => {
    const flow = new flows.Flow({ network });
    await trainProgress.showProgress(
      train.fit(flow, { x }, { epochs: 1, standardize: false }),
      options,
    );
  };
  return {
    ProgressDisplay: [
      make(trainProgress.ProgressDisplay, [output]),
      on(display, 'update', [0.5, 'half']),
    ],
    showProgress: [call(shown, [{ output }])],
  };
}

/** A folder with two images and their labels. */
function digits(): string {
  const header = (type: number, ...sizes: number[]) => [
    0,
    0,
    8,
    type,
    ...sizes.flatMap((s) => [0, 0, 0, s]),
  ];
  const images = Uint8Array.from([...header(3, 2, 28, 28), ...new Array<number>(2 * 784).fill(7)]);
  writeFileSync('t10k-images-idx3-ubyte', images);
  writeFileSync('t10k-labels-idx1-ubyte', Uint8Array.from([...header(1, 2), 1, 2]));
  return '.';
}

/** Calls of all exports of native. */
export function nativeCalls(): Calls {
  return {
    findNativeKernels: nativeKernels().map(({ build }) => call(native.findNativeKernels, [build])),
    createNativeBackend: [call(native.createNativeBackend, [{ maxBytes: 2 ** 20 }])],
  };
}

/** Calls of all exports of devito, with a process that only says that it is there. */
export function devitoCalls(): Calls {
  process.env.INVNET_FAKE_DEVITO = JSON.stringify({ mode: 'idle' });
  const python = fileURLToPath(
    new URL('../../../../packages/devito/tests/fake-python.mjs', import.meta.url),
  );
  const open = (options: devito.DevitoOptions) => {
    using opened = new devito.Devito(options);
    return opened.versions.python;
  };
  return { Devito: [call(open, [{ python, threads: 1 }])], DevitoError: [] };
}

/** Calls of all exports of onnx. */
export function onnxCalls(): Calls {
  const flow = new flows.Flow({ network: new layers.AffineLayer({ channels: 2 }) });
  const sizes = { channels: 2, contextChannels: 1, hidden: 3, ndims: 0, random: random() };
  const coupling = new layers.ConditionalGlowCoupling(sizes);
  const conditional = { of: 'forward', shape: [2], context: [1], named: {} };
  return {
    exportOnnx: [
      call(onnx.exportOnnx, [flow, { of: 'gradients', shape: [2] }]),
      call(onnx.exportOnnx, [coupling, conditional]),
    ],
  };
}

/** Calls of all exports of datasets. */
export function dataCalls(): Calls {
  const r = random();
  const x = r.normal([3, 2]);
  const density = (name: string, options: readonly unknown[]) => {
    const make = Reflect.get(datasets, name);
    const made = make();
    const points = ['logDensity', 'score'].flatMap((f) => (f in made ? [on(made, f, [x])] : []));
    return [call(make, options), on(made, 'sample', [3, r]), ...points];
  };
  const idx = Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 2, 5, 6);
  const affine = [
    [1, 0, 0, 0],
    [0, 0, 2, 0],
    [0, -1, 0, 0],
  ];
  const volume = { shape: [1, 2, 3], data: new Float32Array(6), affine, spacing: [2, 1, 1] };
  const rows = {
    x: { shape: [3, 1], data: Float32Array.of(1, 2, 3) },
    context: { shape: [3], data: Float64Array.of(1, 2, 3) },
    weights: { shape: [3], data: Float32Array.of(1, 0, 1) },
  };
  const epoch = { batchSize: 2, seed: 1, epoch: 0, from: 1, shuffle: true };
  const batches = { count: 10, batchSize: 2, seed: 1, shuffle: true, dropLast: true, epochs: 2 };
  return {
    IdxFormatError: [make(datasets.IdxFormatError, [])],
    banana: density('banana', [{ bend: 1, thickness: 0.5 }]),
    checkerboard: density('checkerboard', []),
    funnel: density('funnel', [{ channels: 2, deviation: 3 }]),
    eightGaussians: density('eightGaussians', [{ radius: 2, deviation: 0.2 }]),
    swirl: density('swirl', [{ turns: 1, radius: 2, noise: 0.1 }]),
    twoMoons: density('twoMoons', [{ noise: 0.1 }]),
    indexBatches: [call(datasets.indexBatches, [{ ...batches, start: { epoch: 0, position: 2 } }])],
    takeRows: [call(datasets.takeRows, [Uint8Array.of(1, 2, 3, 4), [1, 0], 2])],
    arrayRows: [call(datasets.arrayRows, [rows]), on(datasets.arrayRows(rows), 'batches', [epoch])],
    selectRows: [call(datasets.selectRows, [rows, [1, 0]])],
    splitRows: [call(datasets.splitRows, [rows, { validation: 0.5, seed: 1 }])],
    maskMissing: [call(datasets.maskMissing, [rows.x])],
    toHostArray: [call(datasets.toHostArray, [rows.x])],
    requireHostArray: [call(datasets.requireHostArray, ['a test', 'x', rows.x])],
    gunzip: [call(datasets.gunzip, [idx])],
    parseIdx: [call(datasets.parseIdx, [idx, 'a file'])],
    layeredEarth: [
      call(datasets.layeredEarth, [
        { seed: 1, size: [3, 2], spacing: 20, thickness: 100, faults: 1, water: 20, pockets: 1 },
      ]),
    ],
    smoothedEarth: [
      call(datasets.smoothedEarth, [Float32Array.of(1, 2, 3, 4), { size: [2, 2], width: 1 }]),
    ],
    orientVolume: [call(datasets.orientVolume, [volume, 'LPS'])],
    loadMnist: [call(datasets.loadMnist, [{ split: 'test', directory: digits() }])],
  };
}
