/**
 * Models of normflows 1.7.3 (Stimper et al., 2023): `NormalizingFlow` and `MultiscaleFlow` of its affine
 * flows. Left out: class-conditional models, autoregressive and spline flows, and `net_actnorm`.
 */

import { Flow } from '@invnet/flows';
import {
  type Activation,
  ActNorm,
  type Bijection,
  ChannelHalves,
  Construction,
  exp,
  leakyRelu,
  Parallel,
  Permutation,
  Reversed,
  relu,
  reverse,
  Sequential,
  ShuffleSqueeze,
  sigmoid,
} from '@invnet/layers';
import {
  requireAtLeast,
  requireBetween,
  requireBoolean,
  requireOneOf,
  requireOptions,
} from '@invnet/tensor';
import { couplingOf, type OutputOrder, partsOfCoupling, reordered } from './coupling.ts';
import {
  type Gaps,
  type Kind,
  type Kinds,
  readModules,
  requireGaps,
  writeModules,
} from './kinds.ts';
import { factorize, inverseOrder, matrixOf, orderOfPermutation, transposed } from './matrix.ts';
import { factorsOf, mixingOf } from './mixing.ts';
import {
  conditionerOf,
  expectLayer,
  expectSequential,
  filled,
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
import { readTriangles, writeTriangles } from './triangles.ts';

/** What the names and shapes of a state_dict do not tell; defaults are those of normflows. */
export interface NormflowsOptions {
  /** Of `AffineCouplingBlock`. Default: `exp`, but `sigmoid` within a `GlowBlock`. */
  readonly scaleMap?: 'exp' | 'sigmoid' | 'sigmoid_inv';
  /** How couplings part the channels. Default: `channel`. */
  readonly splitMode?: 'channel' | 'channel_inv';
  /** Slope of the leaky ReLU in the networks of couplings. Default: 0. */
  readonly leaky?: number;
  /** Does a `Squeeze` end each list of a `MultiscaleFlow`? Default: true. */
  readonly squeeze?: boolean;
  /** `logscale_factor` of `GlowBase`. Default: 3. */
  readonly logscaleFactor?: number;
  /**
   * What stands where a list has no parameters: `PermuteSwap` is `Permute(…, mode='swap')`. A file does
   * not show one behind the last module with parameters, so name that as well.
   */
  readonly gaps?: Gaps;
}

/** The options, and what neighbours tell. */
interface Context extends Required<NormflowsOptions> {
  readonly glowScaleMap: Required<NormflowsOptions>['scaleMap'];
  readonly ndims: number;
  readonly channels: number;
}

const optionNames = ['scaleMap', 'splitMode', 'leaky', 'squeeze', 'logscaleFactor', 'gaps'];

/**
 * The flow of a `NormalizingFlow` or a `MultiscaleFlow` from its `state_dict()`, with the same density
 * and, from the same noise, the same samples. The base is a part of its network, so that latent variables
 * are standard normal; those of a `MultiscaleFlow` are one image, each level unsqueezed.
 *
 * @throws WeightsError for tensors that are missing, unknown or of other shapes.
 * @example
 * const flow = importNormflows(await readFile('glow.safetensors'));
 * const realNvp = importNormflows(bytes, { gaps: { 'flows.1': 'PermuteSwap', 'flows.3': 'PermuteSwap' } });
 */
export function importNormflows(source: WeightsSource, options: NormflowsOptions = {}): Flow {
  const op = 'importNormflows';
  using building = new Construction();
  const context = contextOf(op, options);
  const state = Section.of(op, source);
  if (!state.has('q0')) state.fail('has no q0, the base of a NormalizingFlow or MultiscaleFlow');
  const levels = state.at('q0').indices;
  const network = levels.length === 0 ? readFlat(state, context) : readLevels(state, context);
  state.finish();
  building.complete();
  return new Flow({ network });
}

/**
 * The `state_dict()` of such a flow as a safetensors file: `model.load_state_dict(load_file(path))` of
 * the model that it was imported from, which may have been trained here.
 *
 * @throws WeightsError for a network that is not built as an imported one.
 * @example await writeFile('glow.safetensors', await exportNormflows(flow));
 */
export async function exportNormflows(flow: Flow): Promise<Uint8Array<ArrayBuffer>> {
  const out = new SectionWriter('exportNormflows');
  const network = expectSequential(expectLayer(flow, Flow, out).network, out);
  const context = { ...defaults, ndims: ndimsOf(network), channels: 0 };
  if (network.names.includes('levels')) await writeLevels(network, out, context);
  else await writeFlat(network, out, context);
  return out.bytes();
}

/** A `NormalizingFlow`: its flows from the last to the first, and its base. */
function readFlat(state: Section, options: Context): Sequential {
  const [, channels = 0, ...size] = state.at('q0').shapeOf('loc');
  const context = { ...options, channels, ndims: size.length };
  return new Sequential({
    flows: readList(state, 'flows', context),
    q0: readBase(state.at('q0'), context),
  });
}

async function writeFlat(network: Sequential, out: SectionWriter, context: Context): Promise<void> {
  await writeModules(layerOf(network, 'flows', out), out.at('flows'), kinds, context);
  await writeBase(layerOf(network, 'q0', out), out.at('q0'), context);
}

/** A `MultiscaleFlow`, whose last level is the first one that data meet. */
function readLevels(state: Section, options: Context): Sequential {
  let inside: { readonly network: Sequential; readonly channels: number } | undefined;
  for (const i of state.at('q0').indices) {
    const base = state.at('q0').at(String(i));
    const [, leaving = 0, ...size] = base.shapeOf('loc');
    if (size.length !== 2) base.fail(`has ${size.length} spatial axes; expected 2`, 'loc');
    const staying = inside?.channels ?? 0;
    const channels = staying + leaving;
    const context = { ...options, channels, ndims: 2 };
    const q0 = readBase(base, context);
    const rest: Record<string, Bijection> = inside
      ? { split: splitOf(inside.network, q0, [staying, leaving], base) }
      : { q0 };
    const flows = readList(state.at('flows'), String(i), context);
    const data = options.squeeze ? channels / 4 : channels;
    if (!Number.isInteger(data)) base.fail(`leaves ${channels} channels; expected a multiple of 4`);
    const network = options.squeeze
      ? {
          squeeze: new ShuffleSqueeze({ order: 'channel' }),
          flows,
          ...rest,
          unsqueeze: reverse(new ShuffleSqueeze({ order: 'channel' })),
        }
      : { flows, ...rest };
    inside = { network: new Sequential(network), channels: data };
  }
  return new Sequential({ levels: inside!.network });
}

/** The first half of the channels goes on inside, the second one leaves for its base. */
function splitOf(
  inside: Bijection,
  q0: Bijection,
  channels: readonly [number, number],
  base: Section,
): ChannelHalves {
  const [staying, leaving] = channels;
  if (staying !== Math.ceil((staying + leaving) / 2)) {
    base.fail(
      `has ${leaving} channels beside ${staying} that go on; expected halves, and \`squeeze: false\` for ` +
        'levels without a Squeeze',
      'loc',
    );
  }
  return new ChannelHalves(new Parallel({ inside, q0 }), channels);
}

async function writeLevels(
  network: Sequential,
  out: SectionWriter,
  context: Context,
): Promise<void> {
  const levels = levelsIn(layerOf(network, 'levels', out), out);
  for (const [i, layers] of levels.entries()) {
    const flows = layerOf(layers, 'flows', out);
    await writeModules(flows, out.at('flows').at(String(i)), kinds, context);
    const q0 = i === 0 ? layerOf(layers, 'q0', out) : partsOfSplit(layers, out).q0;
    await writeBase(q0, out.at('q0').at(String(i)), context);
  }
}

/** The innermost level first. */
function levelsIn(level: Bijection, out: SectionWriter): Sequential[] {
  const layers = expectSequential(level, out);
  if (!layers.names.includes('split')) return [layers];
  return [...levelsIn(partsOfSplit(layers, out).inside, out), layers];
}

function partsOfSplit(layers: Sequential, out: SectionWriter) {
  const split = expectLayer(layerOf(layers, 'split', out), ChannelHalves, out);
  const { first, second } = expectLayer(split.inner, Parallel, out);
  return { inside: first, q0: second };
}

/** The flows of a list as data meet them, from the last to the first. */
function readList(state: Section, name: string, context: Context): Sequential {
  const list = readModules(state.at(name), kinds, context, context.gaps);
  return new Sequential(Object.fromEntries(list.reverse()));
}

/** A diagonal Gaussian as the map to standard normal numbers, named by its class. */
function readBase(state: Section, { logscaleFactor }: Context): Sequential {
  const shape = state.shapeOf('loc');
  const glow = state.has('loc_logs');
  const effective = (name: string) => {
    const numbers = state.numbers(name, shape);
    if (!glow) return numbers;
    const logs = state.numbers(`${name}_logs`, shape);
    return numbers.map((v, i) => v * Math.exp(logs[i]! * logscaleFactor));
  };
  const [loc, logScale] = [effective('loc'), effective('log_scale')];
  const scale = logScale.map((s) => Math.exp(-s));
  const shift = loc.map((m, i) => -m * scale[i]!);
  const layer = scaleAndShift(shape, scale, shift, state);
  return new Sequential(glow ? { GlowBase: layer } : { DiagGaussian: layer });
}

async function writeBase(base: Bijection, out: SectionWriter, { ndims }: Context): Promise<void> {
  const layers = expectSequential(base, out);
  const { shape, scale, shift } = await scaleAndShiftOf(layers.at(0), ndims, out);
  out.set(
    'loc',
    shape,
    shift.map((b, i) => -b / scale[i]!),
  );
  out.set(
    'log_scale',
    shape,
    scale.map((s) => -Math.log(s)),
  );
  if (!layers.names.includes('GlowBase')) return;
  for (const name of ['loc_logs', 'log_scale_logs']) out.set(name, shape, filled(shape, 0));
}

/** (z − t)·e⁻ˢ, and set by data until `data_dep_init_done`. */
const actNorm: Kind<Context> = {
  recognizes: (state) => state.has('data_dep_init_done'),
  read(state) {
    const [done] = state.numbers('data_dep_init_done', []);
    const layer = readAffine(state);
    if (!(layer instanceof ActNorm)) return state.fail('has a scale per position', 's');
    if (!(done! > 0)) layer.reset();
    return layer;
  },
  async write(layer, out, context) {
    await writeAffine(layer, out, context);
    const { value } = expectLayer(layer, ActNorm, out).initialized;
    out.set('data_dep_init_done', [], [value ? 1 : 0]);
  },
};

const affineConst: Kind<Context> = {
  recognizes: (state) => state.has('s') && state.has('t'),
  read: readAffine,
  write: writeAffine,
};

function readAffine(state: Section) {
  const shape = state.shapeOf('s');
  const scale = state.numbers('s').map((s) => Math.exp(-s));
  const shift = state.numbers('t', shape).map((t, i) => -t * scale[i]!);
  return scaleAndShift(shape, scale, shift, state);
}

async function writeAffine(layer: Bijection, out: SectionWriter, { ndims }: Context) {
  const { shape, scale, shift } = await scaleAndShiftOf(layer, ndims, out);
  out.set(
    's',
    shape,
    scale.map((s) => -Math.log(s)),
  );
  out.set(
    't',
    shape,
    shift.map((b, i) => -b / scale[i]!),
  );
}

/** The inverse of z₂ ↦ s ⊙ z₂ + t. */
const coupling: Kind<Context> = {
  recognizes: (state) => state.at('flows').has('1.param_map'),
  read(state, { channels, scaleMap, splitMode, leaky }) {
    const net = state.at('flows').at('1').at('param_map').at('net');
    const layers = readChain(net);
    const halves = [Math.ceil(channels / 2), Math.floor(channels / 2)] as const;
    const [kept, moved] = splitMode === 'channel' ? halves : [halves[1], halves[0]];
    const { inputs, outputs } = sizesOf(layers);
    const additive = outputs === moved;
    if (inputs !== kept || (outputs !== 2 * moved && !additive)) {
      net.fail(
        `maps ${inputs} to ${outputs} channels; expected ${kept} to ${2 * moved}, or to ${moved} without a ` +
          `scale, for ${channels} channels and splitMode: '${splitMode}'`,
      );
    }
    const { order, scaleFunction } = scaleMaps[scaleMap]();
    if (!additive) layers.push(reordered(layers.pop()!, order, 'in'));
    const activation = leaky === 0 ? relu() : leakyRelu({ slope: leaky });
    return reverse(
      couplingOf({
        channels: halves,
        moves: splitMode === 'channel' ? 'second' : 'first',
        conditioner: conditionerOf(layers, 'chain', activation, net),
        scaleFunction: additive ? undefined : scaleFunction,
      }),
    );
  },
  async write(layer, out) {
    const parts = partsOfCoupling(expectLayer(layer, Reversed, out).inner);
    if (!parts) return out.fail('is no coupling as an import makes it');
    const layers = await layersOf(parts.conditioner, 'chain', out);
    if (parts.scaleFunction) {
      layers.push(reordered(layers.pop()!, orderFor(parts.scaleFunction, out), 'back'));
    }
    writeChain(layers, out.at('flows').at('1').at('param_map').at('net'));
  },
};

/** Of a GlowBlock its coupling, its 1×1 convolution and its ActNorm, which are a list as well. */
const glowBlock: Kind<Context> = {
  recognizes: (state) => state.at('flows').has('0.flows.1.param_map'),
  read: (state, context) =>
    readList(state, 'flows', { ...context, scaleMap: context.glowScaleMap }),
  write: (layer, out, context) => writeModules(layer, out.at('flows'), kinds, context),
};

/** y = W x of images, and y = Wᵀx of vectors, as factors P, L, U with their signs, or whole. */
function linear({ ndims, factored }: { ndims: 0 | 2; factored: boolean }): Kind<Context> {
  const inOurOrder = (w: Float64Array) => (ndims === 0 ? transposed(w) : w);
  return {
    recognizes: (state, context) => context.ndims === ndims && state.has(factored ? 'log_S' : 'W'),
    read(state) {
      const [n = 0] = state.shapeOf(factored ? 'log_S' : 'W');
      const factors = factored ? readFactors(state, n) : undefined;
      if (factors && ndims > 0) return mixingOf(factors, state);
      const matrix = factors ? matrixOf(factors) : state.numbers('W', [n, n]);
      const ours = factorize(inOurOrder(matrix), true);
      return ours ? mixingOf(ours, state) : state.fail('is a singular matrix');
    },
    async write(layer, out) {
      const factors = await factorsOf(layer, out);
      const n = factors.order.length;
      if (!factored) {
        out.set('W', [n, n], inOurOrder(matrixOf(factors)));
        return;
      }
      const theirs = ndims > 0 ? factors : factorize(transposed(matrixOf(factors)), true);
      if (!theirs) return out.fail('has a singular matrix');
      writeFactors(theirs.order, theirs.lu, out);
    },
  };
}

function readFactors(state: Section, n: number) {
  const [p, l, u] = ['P', 'L', 'U'].map((name) => state.numbers(name, [n, n]));
  const [signs, logs] = [state.numbers('sign_S', [n]), state.numbers('log_S', [n])];
  state.numbers('eye', [n, n]);
  // W = P (L U), so row i of L U is the row of W that has the 1 of column i.
  const order = orderOfPermutation(transposed(p!)) ?? state.fail('is no permutation', 'P');
  const lu = Float64Array.from(l!, (v, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    if (i === j) return signs[i]! * Math.exp(logs[i]!);
    return i > j ? v : u![at]!;
  });
  return { order, lu };
}

function writeFactors(order: readonly number[], lu: Float64Array, out: SectionWriter): void {
  const n = order.length;
  const part = (inside: (i: number, j: number) => boolean, unit: number) =>
    lu.map((v, at) => {
      const [i, j] = [Math.floor(at / n), at % n];
      if (i === j) return unit;
      return inside(i, j) ? v : 0;
    });
  const diagonal = Array.from(order, (_, i) => lu[i * (n + 1)]!);
  const rowOf = inverseOrder(order);
  const ones = (column: (i: number) => number) =>
    lu.map((_, at) => (column(Math.floor(at / n)) === at % n ? 1 : 0));
  out.set(
    'P',
    [n, n],
    ones((i) => rowOf[i]!),
  );
  out.set(
    'L',
    [n, n],
    part((i, j) => i > j, 1),
  );
  out.set(
    'U',
    [n, n],
    part((i, j) => i < j, 0),
  );
  out.set('sign_S', [n], diagonal.map(Math.sign));
  out.set(
    'log_S',
    [n],
    diagonal.map((d) => Math.log(Math.abs(d))),
  );
  out.set(
    'eye',
    [n, n],
    ones((i) => i),
  );
}

const permute: Kind<Context> = {
  recognizes: (state) => state.has('perm'),
  read(state, { channels }) {
    state.skip('perm');
    return new Permutation({ channels, order: state.indicesOf('inv_perm', channels) });
  },
  async write(layer, out) {
    const { order, channels } = expectLayer(layer, Permutation, out);
    out.set('perm', [channels], inverseOrder(order));
    out.set('inv_perm', [channels], order);
  },
};

const permuteSwap: Kind<Context> = {
  read(_, { channels }) {
    const first = Math.ceil(channels / 2);
    const order = Array.from({ length: channels }, (_, i) => (i + first) % channels);
    return new Permutation({ channels, order });
  },
  async write() {},
};

/** A fixed permutation and a `LULinear`. */
const luLinearPermute: Kind<Context> = {
  recognizes: (state) => state.has('permutation') && state.has('linear'),
  read(state, { channels }) {
    const order = state.at('permutation').indicesOf('_permutation', channels);
    return new Sequential({
      permutation: new Permutation({ channels, order }),
      linear: readTriangles(state.at('linear')),
    });
  },
  async write(layer, out) {
    const layers = expectSequential(layer, out);
    const { order, channels } = expectLayer(layerOf(layers, 'permutation', out), Permutation, out);
    out.at('permutation').set('_permutation', [channels], order);
    await writeTriangles(layerOf(layers, 'linear', out), out.at('linear'));
  },
};

const kinds: Kinds<Context> = {
  GlowBlock: glowBlock,
  AffineCouplingBlock: coupling,
  ActNorm: actNorm,
  AffineConstFlow: affineConst,
  Invertible1x1Conv: linear({ ndims: 2, factored: true }),
  Invertible1x1ConvWhole: linear({ ndims: 2, factored: false }),
  InvertibleAffine: linear({ ndims: 0, factored: true }),
  InvertibleAffineWhole: linear({ ndims: 0, factored: false }),
  Permute: permute,
  PermuteSwap: permuteSwap,
  LULinearPermute: luLinearPermute,
};

/** Scale and shift alternate among the outputs of a network. */
const alternating: OutputOrder = { scaleRow: (j) => 2 * j + 1, shiftRow: (j) => 2 * j };

/** s of z₂ ↦ s ⊙ z₂ + t, from the network's r: eʳ, 1/σ(r + 2) = 1 + e^(−r − 2), σ(r + 2). */
const scaleMaps = {
  exp: () => ({ order: alternating, scaleFunction: exp() }),
  sigmoid: () => ({
    order: { ...alternating, factor: -1, offset: -2 },
    scaleFunction: exp({ low: 1 }),
  }),
  sigmoid_inv: () => ({ order: { ...alternating, offset: 2 }, scaleFunction: sigmoid() }),
};

/** The order for a scale function, by its name and options. */
function orderFor({ name, options }: Activation, out: SectionWriter): OutputOrder {
  const sought = JSON.stringify([name, options]);
  const found = Object.values(scaleMaps)
    .map((make) => make())
    .find(({ scaleFunction: f }) => JSON.stringify([f.name, f.options]) === sought);
  return found?.order ?? out.fail(`scales by ${name}; expected exp or sigmoid as imported`);
}

const defaults = {
  scaleMap: 'exp',
  glowScaleMap: 'sigmoid',
  splitMode: 'channel',
  leaky: 0,
  squeeze: true,
  logscaleFactor: 3,
  gaps: {},
} as const;

function contextOf(op: string, options: NormflowsOptions): Context {
  requireOptions(op, options, optionNames);
  const { scaleMap } = options;
  const context = {
    ...defaults,
    ...options,
    scaleMap: scaleMap ?? defaults.scaleMap,
    glowScaleMap: scaleMap ?? defaults.glowScaleMap,
  };
  requireOneOf(op, 'scaleMap', context.scaleMap, Object.keys(scaleMaps));
  requireOneOf(op, 'splitMode', context.splitMode, ['channel', 'channel_inv']);
  requireAtLeast(op, 'leaky', context.leaky, 0);
  requireBoolean(op, 'squeeze', context.squeeze);
  requireBetween(op, 'logscaleFactor', context.logscaleFactor);
  requireGaps(op, context.gaps);
  return { ...context, ndims: 0, channels: 0 };
}
