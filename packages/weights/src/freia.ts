/**
 * Networks of FrEIA 0.2 (Ardizzone et al., 2018-2022): a `SequenceINN`, or a `GraphINN` that is one chain,
 * of `AllInOneBlock`, its blocks of two sides and `PermuteRandom`. Left out: conditions, and graphs that branch.
 */
import {
  type Activation,
  AdditiveTransformer,
  AffineTransformer,
  AllInOneBlock,
  atanClamp,
  type Bijection,
  type Conditioner,
  Construction,
  expClamp,
  JoinedConditioners,
  Permutation,
  placesIn,
  relu,
  requireActivation,
  ScaledConditioner,
  Sequential,
  ShuffleSqueeze,
  type Transformer,
  TransformerCoupling,
  TwoSidedCoupling,
  VolumePreservingTransformer,
} from '@invnet/layers';
import { requireBetween, requireBoolean, requireOneOf, requireOptions } from '@invnet/tensor';
import { type Kind, type Kinds, readModules, writeModules } from './kinds.ts';
import { factorize, inverseOrder, matrixOf, orderOfPermutation, transposed } from './matrix.ts';
import { factorsOf, mixingOf } from './mixing.ts';
import {
  conditionerOf,
  expectLayer,
  expectSequential,
  fill,
  layersOf,
  ndimsOf,
  numbersOf,
  readChain,
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
  /** `gin_block` of AllInOneBlock; and blocks with two networks are GINCouplingBlock. Default: false. */
  readonly volumePreserving?: boolean;
  /** `reverse_permutation` of AllInOneBlock. Default: false. */
  readonly permutesBefore?: boolean;
  /** In the subnetworks, which are `nn.Sequential(layer, activation, layer, …)`. Default: `relu()`. */
  readonly activation?: Activation;
}

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
export async function exportFreia(network: Bijection): Promise<Uint8Array<ArrayBuffer>> {
  const op = 'exportFreia';
  const out = new SectionWriter(op);
  const layers = expectSequential(network, out);
  const context = { ...contextOf(op, {}), ndims: ndimsOf(layers), network: layers };
  await writeModules(layers, out.at('module_list'), kinds, context);
  return out.bytes();
}

/** A coupling, a scale and a shift of each channel, reflections if it has any, and a rotation or a permutation. */
const allInOne: Kind<Context> = {
  recognizes: (state) => state.has('global_scale') && (state.has('w_perm') || state.has('w_0')),
  read(state, context) {
    const { clamp, globalAffineType, volumePreserving, permutesBefore } = context;
    const shape = state.shapeOf('global_scale');
    const [, channels = 0] = shape;
    const scales = state.numbers('global_scale', [1, channels, ...shape.slice(2).map(() => 1)]);
    const shifts = state.numbers('global_offset', shape);
    const still = Math.ceil(channels / 2);
    const reflections = state.has('w_0') ? state.shapeOf('vk_householder')[0]! : 0;
    const block = new AllInOneBlock({
      ...{ channels, clamp, volumePreserving, permutesBefore, reflections },
      conditioner: subnet(state, 'subnet', [still, 2 * (channels - still)], context),
      globalScale: globalScales[globalAffineType],
      permutation: readRotation(state, channels, shape.slice(2)),
    });
    const p = volumePreserving ? shifts : Float64Array.from([...scales, ...shifts]);
    fill(block.affine.p, p, state);
    if (block.reflections) {
      const vectors = state.numbers('vk_householder', [reflections, channels]);
      for (const [k, v] of block.reflections.weights.entries()) {
        fill(v, vectors.subarray(k * channels, (k + 1) * channels), state);
      }
    }
    return block;
  },
  async write(layer, out, { ndims }) {
    const block = expectLayer(layer, AllInOneBlock, out);
    const { channels } = block.coupling;
    const shape = [1, channels, ...new Array<number>(ndims).fill(1)];
    const { inner } = expectLayer(block.coupling.conditioner, ScaledConditioner, out);
    await writeSubnet(inner, out.at('subnet'));
    const p = await numbersOf(block.affine.p);
    // A block that keeps volumes has no scale, and FrEIA's one that it does not use.
    out.set(
      'global_scale',
      shape,
      p.length > channels ? p.subarray(0, channels) : new Float64Array(channels),
    );
    out.set('global_offset', shape, p.subarray(-channels));
    await writeRotation(block, out, shape.slice(2));
    if (!block.reflections) return;
    const vectors = await Promise.all(block.reflections.weights.map(numbersOf));
    const rows = Float64Array.from(vectors.flatMap((v) => [...v]));
    out.set('vk_householder', [vectors.length, channels], rows);
  },
};

/** x ↦ w_perm x, or w_0 x behind reflections, which is not trained. */
function readRotation(state: Section, channels: number, size: readonly number[]): Bijection {
  const reflected = state.has('w_0');
  const shape = [channels, channels, ...(reflected ? [] : size)];
  const name = reflected ? 'w_0' : 'w_perm';
  const w = state.numbers(name, shape);
  if (!reflected) state.numbers('w_perm_inv', shape);
  const order = orderOfPermutation(w);
  if (order) return new Permutation({ channels: order.length, order });
  const factors = factorize(w, true) ?? state.fail('is a singular matrix', name);
  return mixingOf(factors, state, true);
}

async function writeRotation(block: AllInOneBlock, out: SectionWriter, size: readonly number[]) {
  const { permutation } = block;
  const w =
    permutation instanceof Permutation
      ? matrixOfOrder(permutation.order)
      : matrixOf(await factorsOf(permutation, out));
  const n = Math.sqrt(w.length);
  if (block.reflections) return out.set('w_0', [n, n], w);
  out.set('w_perm', [n, n, ...size], w);
  return out.set('w_perm_inv', [n, n, ...size], transposed(w));
}

function matrixOfOrder(order: readonly number[]): Float64Array {
  const n = order.length;
  return Float64Array.from({ length: n * n }, (_, at) =>
    order[Math.floor(at / n)] === at % n ? 1 : 0,
  );
}

/** A block that moves both parts, each by what networks of the other one give, which are called so. */
function twoSided(
  transformer: (context: Context) => Transformer,
  first: Subnets,
  second: Subnets,
  is: (context: Context) => boolean = () => true,
): Kind<Context> {
  const all = [...Object.values(first), ...Object.values(second)];
  return {
    recognizes: (state, context) => is(context) && all.every((name) => state.has(name)),
    read(state, context) {
      const [seen, moved] = [first, second].map(
        ([name]) => sizesOf(readChain(state.at(name))).inputs,
      );
      const made = transformer(context);
      const side = (names: Subnets, inputs: number, moves: number): Conditioner => {
        const outputs = (made.size / names.length) * moves;
        const [scale, shift] = names.map((name) => subnet(state, name, [inputs, outputs], context));
        return shift ? new JoinedConditioners({ parts: { scale: scale!, shift } }) : scale!;
      };
      return new TwoSidedCoupling({
        channels: seen! + moved!,
        split: [moved!, seen!],
        transformer: made,
        conditioner: [side(first, seen!, moved!), side(second, moved!, seen!)],
      });
    },
    async write(layer, out) {
      const block = expectLayer(layer, TwoSidedCoupling, out);
      const sides = [
        [first, block.first.conditioner],
        [second, block.second.conditioner],
      ] as const;
      for (const [names, g] of sides) {
        const parts = g instanceof JoinedConditioners ? Object.values(g.inner) : [g];
        if (parts.length !== names.length)
          out.fail(`has ${parts.length} networks for ${names.join(' and ')}`);
        for (const [i, name] of names.entries()) await writeSubnet(parts[i]!, out.at(name));
      }
    },
  };
}

/** The names of the networks of one side: for scale and shift, or one for both. */
type Subnets = readonly [string] | readonly [scale: string, shift: string];

/** A network, which maps so many channels to so many. */
function subnet(
  state: Section,
  name: string,
  [inputs, outputs]: readonly [number, number],
  { activation }: Context,
): Conditioner {
  const section = state.at(name);
  const layers = readChain(section);
  const found = sizesOf(layers);
  if (found.inputs !== inputs || found.outputs !== outputs) {
    section.fail(
      `maps ${found.inputs} to ${found.outputs} channels; expected ${inputs} to ${outputs}, without conditions`,
    );
  }
  return conditionerOf(layers, 'chain', activation, section);
}

async function writeSubnet(g: Conditioner, out: SectionWriter): Promise<void> {
  writeChain(await layersOf(g, 'chain', out), out);
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
      if (module instanceof Permutation || module instanceof TransformerCoupling) {
        return module.channels / factor;
      }
    }
  }
  return out.fail('has no layer behind it that tells its channels; expected a coupling there');
}

/** Output 4c + k is position k of channel c. */
function kernelOf(outputs: number): Float64Array {
  return Float64Array.from({ length: 4 * outputs }, (_, at) => ((at >> 2) % 4 === at % 4 ? 1 : 0));
}

const scaleOf = ({ clamp, clampActivation }: Context) => ({
  scaleFunction: clamps[clampActivation](clamp),
});
const affine = (context: Context) => new AffineTransformer(scaleOf(context));
const preserving = (context: Context) => new VolumePreservingTransformer(scaleOf(context));

const kinds: Kinds<Context> = {
  AllInOneBlock: allInOne,
  GINCouplingBlock: twoSided(
    preserving,
    ['subnet2'],
    ['subnet1'],
    ({ volumePreserving }) => volumePreserving,
  ),
  GLOWCouplingBlock: twoSided(affine, ['subnet2'], ['subnet1']),
  RNVPCouplingBlock: twoSided(affine, ['subnet_s2', 'subnet_t2'], ['subnet_s1', 'subnet_t1']),
  NICECouplingBlock: twoSided(() => new AdditiveTransformer(), ['F'], ['G']),
  PermuteRandom: permuteRandom,
  IRevNetDownsampling: downsampling,
};

/** exp(clamp·f(s)), with f between −1 and 1: 0.636·arctan s, tanh s, 2σ(s) − 1 = tanh(s/2). */
const clamps = {
  ATAN: (clamp: number) => atanClamp({ clamp: (clamp * 0.636 * Math.PI) / 2, rate: 1 }),
  TANH: (clamp: number) => expClamp({ clamp, rate: 1 }),
  SIGMOID: (clamp: number) => expClamp({ clamp, rate: 0.5 }),
};

const globalScales = { SOFTPLUS: 'softplus', SIGMOID: 'sigmoid', EXP: 'exp' } as const;

function contextOf(op: string, options: FreiaOptions): Context {
  const names = ['clamp', 'clampActivation', 'globalAffineType', 'activation'];
  requireOptions(op, options, [...names, 'volumePreserving', 'permutesBefore']);
  const { clamp = 2, clampActivation = 'ATAN', globalAffineType = 'SOFTPLUS' } = options;
  const { activation = relu(), volumePreserving = false, permutesBefore = false } = options;
  requireBetween(op, 'clamp', clamp, 0);
  requireOneOf(op, 'clampActivation', clampActivation, ['ATAN', 'TANH', 'SIGMOID']);
  requireOneOf(op, 'globalAffineType', globalAffineType, ['SOFTPLUS', 'SIGMOID', 'EXP']);
  requireActivation(op, 'activation', activation);
  requireBoolean(op, 'volumePreserving', volumePreserving);
  requireBoolean(op, 'permutesBefore', permutesBefore);
  const believed = { clamp, clampActivation, globalAffineType, activation };
  return { ...believed, volumePreserving, permutesBefore, ndims: 0 };
}
