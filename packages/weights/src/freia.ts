/**
 * Networks of FrEIA 0.2 (Ardizzone et al., 2018-2022): a `SequenceINN`, or a `GraphINN` that is one chain,
 * of `AllInOneBlock`, `GLOWCouplingBlock` and `PermuteRandom`. Left out: conditions, GIN blocks, learned
 * Householder permutations, `reverse_permutation`, and graphs that branch.
 */
import {
  type Activation,
  atanClamp,
  type Bijection,
  ChannelHalves,
  Construction,
  expClamp,
  Permutation,
  placesIn,
  relu,
  requireActivation,
  Sequential,
  ShuffleSqueeze,
} from '@invnet/layers';
import { requireBetween, requireOneOf, requireOptions } from '@invnet/tensor';
import {
  couplingOf,
  type OutputOrder,
  partsOfCoupling,
  reordered,
  scaleFirst,
} from './coupling.ts';
import { type Kind, type Kinds, readModules, writeModules } from './kinds.ts';
import { factorize, inverseOrder, matrixOf, orderOfPermutation, transposed } from './matrix.ts';
import { factorsOf, mixingOf } from './mixing.ts';
import {
  conditionerOf,
  expectLayer,
  expectSequential,
  layerOf,
  layersOf,
  ndimsOf,
  readChain,
  scaleAndShift,
  scaleAndShiftOf,
  sizesOf,
  writeChain,
} from './pieces.ts';
import { Section, SectionWriter, type WeightsSource } from './state-dict.ts';

/** What the names and shapes of a state_dict do not tell; defaults are those of FrEIA. */
export interface FreiaOptions {
  /** `affine_clamping` of AllInOneBlock, `clamp` of GLOWCouplingBlock. Default: 2. */
  readonly clamp?: number;
  /** Of GLOWCouplingBlock. Default: `ATAN`. */
  readonly clampActivation?: 'ATAN' | 'TANH' | 'SIGMOID';
  /** `global_affine_type` of AllInOneBlock. Default: `SOFTPLUS`. */
  readonly globalAffineType?: 'SOFTPLUS' | 'SIGMOID' | 'EXP';
  /** In the subnetworks, which are `nn.Sequential(layer, activation, layer, …)`. Default: `relu()`. */
  readonly activation?: Activation;
}

/** What the export needs to know beside the network. */
export type FreiaExportOptions = Pick<FreiaOptions, 'globalAffineType'>;

/** The options, and what is written. */
interface Context extends Required<FreiaOptions> {
  readonly ndims: number;
  readonly network?: Sequential;
}

/**
 * The network of a `SequenceINN` or of a `GraphINN` from its `state_dict()`: its `forward` is theirs, with
 * the same results and log-determinants.
 *
 * @throws WeightsError for tensors that are missing, unknown or of other shapes.
 * @example
 * const network = importFreia(await readFile('inn.safetensors'), { clamp: 1.5 });
 * const flow = new Flow({ network });
 */
export function importFreia(source: WeightsSource, options: FreiaOptions = {}): Sequential {
  const op = 'importFreia';
  using building = new Construction();
  const context = contextOf(op, options);
  const state = Section.of(op, source);
  state.require('module_list', 'as a SequenceINN or GraphINN has');
  const network = new Sequential(
    Object.fromEntries(readModules(state.at('module_list'), kinds, context, {})),
  );
  state.finish();
  building.complete();
  return network;
}

/**
 * The `state_dict()` of such a network as a safetensors file, for the model that it was imported from.
 *
 * @throws WeightsError for a network that is not built as an imported one.
 * @example await writeFile('inn.safetensors', await exportFreia(network));
 */
export async function exportFreia(
  network: Bijection,
  options: FreiaExportOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const op = 'exportFreia';
  requireOptions(op, options, ['globalAffineType']);
  const out = new SectionWriter(op);
  const layers = expectSequential(network, out);
  const context = { ...contextOf(op, options), ndims: ndimsOf(layers), network: layers };
  await writeModules(layers, out.at('module_list'), kinds, context);
  return out.bytes();
}

/** A coupling, a scale and a shift of each channel, and a rotation or a permutation. */
const allInOne: Kind<Context> = {
  recognizes: (state) => state.has('global_scale') && state.has('w_perm'),
  read(state, { clamp, globalAffineType, activation }) {
    const shape = state.shapeOf('global_scale');
    const [, channels = 0, ...size] = shape;
    const scale = state.numbers('global_scale').map(globalAffine[globalAffineType].scale);
    const norm = scaleAndShift(shape, scale, state.numbers('global_offset', shape), state);
    const halves = [Math.ceil(channels / 2), Math.floor(channels / 2)] as const;
    const subnet = { state: state.at('subnet'), activation, order: tenth };
    return new Sequential({
      coupling: readCoupling(subnet, halves, 'second', expClamp({ clamp, rate: 0.1 })),
      norm,
      permutation: readRotation(state, [channels, channels, ...size]),
    });
  },
  async write(layer, out, { globalAffineType, ndims }) {
    const layers = expectSequential(layer, out);
    await writeCoupling(layerOf(layers, 'coupling', out), out.at('subnet'), tenth);
    const norm = layerOf(layers, 'norm', out);
    const { shape, scale, shift } = await scaleAndShiftOf(norm, ndims, out);
    out.set('global_scale', shape, scale.map(globalAffine[globalAffineType].inverse));
    out.set('global_offset', shape, shift);
    await writeRotation(layerOf(layers, 'permutation', out), out, shape.slice(2));
  },
};

/** All that a subnetwork gives is a tenth of its outputs; that of the scale is within its clamp. */
const tenth: OutputOrder = { ...scaleFirst, shiftFactor: 0.1 };

/** x ↦ w_perm x, which is not trained. */
function readRotation(state: Section, shape: readonly number[]): Bijection {
  const w = state.numbers('w_perm', shape);
  state.numbers('w_perm_inv', shape);
  const order = orderOfPermutation(w);
  if (order) return new Permutation({ channels: order.length, order });
  const factors = factorize(w, true) ?? state.fail('is a singular matrix', 'w_perm');
  return mixingOf(factors, state, true);
}

async function writeRotation(layer: Bijection, out: SectionWriter, size: readonly number[]) {
  const w =
    layer instanceof Permutation
      ? matrixOfOrder(layer.order)
      : matrixOf(await factorsOf(layer, out));
  const n = Math.sqrt(w.length);
  out.set('w_perm', [n, n, ...size], w);
  out.set('w_perm_inv', [n, n, ...size], transposed(w));
}

function matrixOfOrder(order: readonly number[]): Float64Array {
  const n = order.length;
  return Float64Array.from({ length: n * n }, (_, at) =>
    order[Math.floor(at / n)] === at % n ? 1 : 0,
  );
}

/** First the first half moves by the second, then the second by the first. */
const glowCoupling: Kind<Context> = {
  recognizes: (state) => state.has('subnet1') && state.has('subnet2'),
  read(state, { clamp, clampActivation, activation }) {
    const [first, second] = ['subnet1', 'subnet2'].map(
      (name) => sizesOf(readChain(state.at(name))).inputs,
    );
    const halves = [first!, second!] as const;
    const scale = clamps[clampActivation](clamp);
    const subnet = (name: string) => ({ state: state.at(name), activation, order: scaleFirst });
    return new Sequential({
      subnet2: readCoupling(subnet('subnet2'), halves, 'first', scale),
      subnet1: readCoupling(subnet('subnet1'), halves, 'second', scale),
    });
  },
  async write(layer, out) {
    const layers = expectSequential(layer, out);
    for (const name of ['subnet1', 'subnet2']) {
      await writeCoupling(layerOf(layers, name, out), out.at(name), scaleFirst);
    }
  },
};

/** Where a coupling's network is, and how it is to be taken. */
interface Subnet {
  readonly state: Section;
  readonly activation: Activation;
  readonly order: OutputOrder;
}

function readCoupling(
  { state, activation, order }: Subnet,
  channels: readonly [number, number],
  moves: 'first' | 'second',
  scaleFunction: Activation,
): Bijection {
  const layers = readChain(state);
  const [kept, moved] = moves === 'second' ? channels : [channels[1], channels[0]];
  const { inputs, outputs } = sizesOf(layers);
  if (inputs !== kept || outputs !== 2 * moved) {
    state.fail(
      `maps ${inputs} to ${outputs} channels; expected ${kept} to ${2 * moved}, without conditions`,
    );
  }
  layers.push(reordered(layers.pop()!, order, 'in'));
  const conditioner = conditionerOf(layers, 'chain', activation, state);
  return couplingOf({ channels, moves, conditioner, scaleFunction });
}

async function writeCoupling(layer: Bijection, out: SectionWriter, order: OutputOrder) {
  const parts = partsOfCoupling(layer);
  if (!parts?.scaleFunction) return out.fail('is no coupling as an import makes it');
  const layers = await layersOf(parts.conditioner, 'chain', out);
  layers.push(reordered(layers.pop()!, order, 'back'));
  writeChain(layers, out);
}

const permuteRandom: Kind<Context> = {
  recognizes: (state) => state.has('perm_inv'),
  read(state) {
    const [channels = 0] = state.shapeOf('perm');
    state.numbers('perm_inv', [channels]);
    return new Permutation({ channels, order: state.indicesOf('perm', channels) });
  },
  async write(layer, out) {
    const { order, channels } = expectLayer(layer, Permutation, out);
    out.set('perm', [channels], order);
    out.set('perm_inv', [channels], inverseOrder(order));
  },
};

const downsampling: Kind<Context> = {
  recognizes: (state) => state.has('downsample_kernel'),
  read(state) {
    const [outputs = 0] = state.shapeOf('downsample_kernel');
    const kernel = state.numbers('downsample_kernel', [outputs, 1, 2, 2]);
    const right = kernelOf(outputs).every((v, i) => v === kernel[i]);
    if (!right) state.fail('is no kernel of IRevNetDownsampling', 'downsample_kernel');
    return new ShuffleSqueeze({ order: 'channel' });
  },
  async write(layer, out, { network }) {
    const squeeze = expectLayer(layer, ShuffleSqueeze, out);
    const outputs = channelsBehind(squeeze, network, out);
    out.set('downsample_kernel', [outputs, 1, 2, 2], kernelOf(outputs));
  },
};

/** The channels that a squeeze makes, which a layer behind it knows. */
function channelsBehind(
  squeeze: ShuffleSqueeze,
  network: Sequential | undefined,
  out: SectionWriter,
): number {
  const layers = network?.layers ?? [];
  let factor = 1;
  for (const layer of layers.slice(layers.indexOf(squeeze) + 1)) {
    if (layer instanceof ShuffleSqueeze) factor *= 4;
    for (const { module } of placesIn(layer)) {
      if (module instanceof Permutation) return module.channels / factor;
      if (module instanceof ChannelHalves)
        return (module.channels[0] + module.channels[1]) / factor;
    }
  }
  return out.fail('has no layer behind it that tells its channels; expected a coupling there');
}

/** Output 4c + k is position k of channel c. */
function kernelOf(outputs: number): Float64Array {
  return Float64Array.from({ length: 4 * outputs }, (_, at) => ((at >> 2) % 4 === at % 4 ? 1 : 0));
}

const kinds: Kinds<Context> = {
  AllInOneBlock: allInOne,
  GLOWCouplingBlock: glowCoupling,
  PermuteRandom: permuteRandom,
  IRevNetDownsampling: downsampling,
};

/** exp(clamp·f(s)), with f between −1 and 1: 0.636·arctan s, tanh s, 2σ(s) − 1 = tanh(s/2). */
const clamps = {
  ATAN: (clamp: number) => atanClamp({ clamp: (clamp * 0.636 * Math.PI) / 2, rate: 1 }),
  TANH: (clamp: number) => expClamp({ clamp, rate: 1 }),
  SIGMOID: (clamp: number) => expClamp({ clamp, rate: 0.5 }),
};

/** The scale of each channel, from its parameter and back. */
const globalAffine = {
  // 0.1·softplus of β = ½, which is 2 log(1 + e^(g/2))
  SOFTPLUS: {
    scale: (g: number) => 0.2 * (Math.max(g / 2, 0) + Math.log1p(Math.exp(-Math.abs(g / 2)))),
    inverse: (s: number) => 2 * (5 * s + Math.log(-Math.expm1(-5 * s))),
  },
  SIGMOID: {
    scale: (g: number) => 10 / (1 + Math.exp(2 - g)),
    inverse: (s: number) => 2 - Math.log(10 / s - 1),
  },
  EXP: { scale: Math.exp, inverse: Math.log },
};

function contextOf(op: string, options: FreiaOptions): Context {
  requireOptions(op, options, ['clamp', 'clampActivation', 'globalAffineType', 'activation']);
  const { clamp = 2, clampActivation = 'ATAN', globalAffineType = 'SOFTPLUS' } = options;
  const { activation = relu() } = options;
  requireBetween(op, 'clamp', clamp, 0);
  requireOneOf(op, 'clampActivation', clampActivation, ['ATAN', 'TANH', 'SIGMOID']);
  requireOneOf(op, 'globalAffineType', globalAffineType, ['SOFTPLUS', 'SIGMOID', 'EXP']);
  requireActivation(op, 'activation', activation);
  return { clamp, clampActivation, globalAffineType, activation, ndims: 0 };
}
