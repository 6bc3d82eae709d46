/**
 * Flows of nflows 0.14 (Durkan et al., 2020) from affine transforms. Left out: splines, autoregressive
 * transforms, `MultiscaleCompositeTransform`, contexts, and normalization within networks.
 */
import { Flow } from '@invnet/flows';
import {
  type Activation,
  ActNorm,
  type Bijection,
  Construction,
  Identity,
  Permutation,
  Reversed,
  relu,
  requireActivation,
  reverse,
  Sequential,
  ShuffleSqueeze,
  sigmoid,
} from '@invnet/layers';
import { requireOptions } from '@invnet/tensor';
import {
  couplingOf,
  type LayerNumbers,
  type OutputOrder,
  partsOfCoupling,
  reordered,
} from './coupling.ts';
import {
  type Gaps,
  type Kind,
  type Kinds,
  readModule,
  readModules,
  requireGaps,
  writeModule,
  writeModules,
} from './kinds.ts';
import {
  conditionerOf,
  expectLayer,
  expectSequential,
  fill,
  layerOf,
  layersOf,
  readLayer,
  scaleAndShift,
  scaleAndShiftOf,
  sizesOf,
  writeLayer,
} from './pieces.ts';
import { Section, SectionWriter, type WeightsSource } from './state-dict.ts';
import { readTriangles, writeTriangles } from './triangles.ts';

/** What the names and shapes of a state_dict do not tell; defaults are those of nflows. */
export interface NflowsOptions {
  /** In the networks of couplings. Default: `relu()`. */
  readonly activation?: Activation;
  /** What stands where a list has no parameters: `SqueezeTransform` or `IdentityTransform`. */
  readonly gaps?: Gaps;
}

interface Context {
  readonly activation: Activation;
  readonly gaps: Gaps;
}

/**
 * The flow of a `Flow` from its `state_dict()`, with the same density and, from the same noise, the same
 * samples. A `DiagonalNormal` becomes a part of the network, so that latent variables are standard normal.
 *
 * @throws WeightsError for tensors that are missing, unknown or of other shapes.
 * @example
 * const flow = importNflows(await readFile('flow.safetensors'));
 * const images = importNflows(bytes, { gaps: { '_transform._transforms.0': 'SqueezeTransform' } });
 */
export function importNflows(source: WeightsSource, options: NflowsOptions = {}): Flow {
  const op = 'importNflows';
  using building = new Construction();
  requireOptions(op, options, ['activation', 'gaps']);
  const { activation = relu(), gaps = {} } = options;
  requireActivation(op, 'activation', activation);
  requireGaps(op, gaps);
  const state = Section.of(op, source);
  state.require('_transform', 'as the state_dict of a Flow has');
  const transform = readModule(state.at('_transform'), kinds, { activation, gaps }, gaps);
  const base = state.has('_distribution') ? readBase(state.at('_distribution')) : {};
  state.finish(gaps);
  const flow = new Flow({ network: new Sequential({ transform, ...base }) });
  building.complete();
  return flow;
}

/**
 * The `state_dict()` of such a flow as a safetensors file, for the model that it was imported from.
 *
 * @throws WeightsError for a network that is not built as an imported one.
 * @example await writeFile('flow.safetensors', await exportNflows(flow));
 */
export async function exportNflows(flow: Flow): Promise<Uint8Array<ArrayBuffer>> {
  const out = new SectionWriter('exportNflows');
  const network = expectSequential(expectLayer(flow, Flow, out).network, out);
  const transform = layerOf(network, 'transform', out);
  await writeModule(transform, out.at('_transform'), kinds, defaults);
  if (network.names.includes('DiagonalNormal')) {
    const base = out.at('_distribution');
    const layer = layerOf(network, 'DiagonalNormal', out);
    const { shape, scale, shift } = await scaleAndShiftOf(layer, 0, base);
    base.set(
      'mean_',
      shape,
      shift.map((b, i) => -b / scale[i]!),
    );
    base.set(
      'log_std_',
      shape,
      scale.map((s) => -Math.log(s)),
    );
  }
  return out.bytes();
}

const defaults: Context = { activation: relu(), gaps: {} };

/** (z − mean)·e^(−log_std) */
function readBase(state: Section): { readonly DiagonalNormal: Bijection } {
  const shape = state.shapeOf('mean_');
  const mean = state.numbers('mean_');
  const scale = state.numbers('log_std_', shape).map((s) => Math.exp(-s));
  const shift = mean.map((m, i) => -m * scale[i]!);
  return { DiagonalNormal: scaleAndShift(shape, scale, shift, state) };
}

const composite: Kind<Context> = {
  recognizes: (state) => state.has('_transforms'),
  read: (state, context) =>
    new Sequential(
      Object.fromEntries(readModules(state.at('_transforms'), kinds, context, context.gaps)),
    ),
  write: (layer, out, context) => writeModules(layer, out.at('_transforms'), kinds, context),
};

const inverse: Kind<Context> = {
  recognizes: (state) => state.has('_transform'),
  read: (state, context) =>
    reverse(readModule(state.at('_transform'), kinds, context, context.gaps)),
  async write(layer, out, context) {
    const { inner } = expectLayer(layer, Reversed, out);
    await writeModule(inner, out.at('_transform'), kinds, context);
  },
};

const actNorm: Kind<Context> = {
  recognizes: (state) => state.has('initialized'),
  read(state) {
    const [initialized] = state.numbers('initialized', []);
    const [channels = 0] = state.shapeOf('log_scale');
    const layer = new ActNorm({ channels });
    fill(layer.scale, state.numbers('log_scale').map(Math.exp), state);
    fill(layer.shift, state.numbers('shift', [channels]), state);
    if (initialized === 0) layer.reset();
    return layer;
  },
  async write(layer, out) {
    const { initialized, channels } = expectLayer(layer, ActNorm, out);
    const { scale, shift } = await scaleAndShiftOf(layer, 0, out);
    out.set('initialized', [], [initialized.value ? 1 : 0]);
    out.set('log_scale', [channels], scale.map(Math.log));
    out.set('shift', [channels], shift);
  },
};

/** Shift first, then scale, which is σ(r + 2) + 0.001. */
const shiftFirst: OutputOrder = {
  scaleRow: (j, moved) => moved + j,
  shiftRow: (j) => j,
  offset: 2,
};

/** Features that are kept, then those that move, put in order where they are not. */
const coupling: Kind<Context> = {
  recognizes: (state) => state.has('identity_features'),
  read(state, { activation }) {
    const [kept = 0] = state.shapeOf('identity_features');
    const [moved = 0] = state.shapeOf('transform_features');
    const channels = kept + moved;
    const identity = state.indicesOf('identity_features', channels);
    const order = [...identity, ...state.indicesOf('transform_features', channels)];
    if (new Set(order).size < channels) state.fail('has features that are kept and transformed');
    const net = state.at('transform_net');
    const layers = readResidualNet(net);
    const { inputs, outputs } = sizesOf(layers);
    const additive = outputs === moved;
    if (inputs !== kept || (outputs !== 2 * moved && !additive)) {
      net.fail(
        `maps ${inputs} to ${outputs} features; expected ${kept} to ${2 * moved} or ${moved}`,
      );
    }
    if (!additive) layers.push(reordered(layers.pop()!, shiftFirst, 'in'));
    const conditioner = conditionerOf(layers, 'residual', activation, net);
    const parts = {
      conditioner,
      scaleFunction: additive ? undefined : sigmoid({ low: 1e-3, high: 1.001 }),
    };
    if (isOrdered(order)) return couplingOf({ ...parts, channels: [kept, moved], moves: 'second' });
    if (isOrdered([...order.slice(kept), ...identity])) {
      return couplingOf({ ...parts, channels: [moved, kept], moves: 'first' });
    }
    const features = new Permutation({ channels, order });
    return new Sequential({
      features,
      coupling: couplingOf({ ...parts, channels: [kept, moved], moves: 'second' }),
      back: reverse(features),
    });
  },
  async write(layer, out) {
    const wrapped = layer instanceof Sequential;
    const parts = partsOfCoupling(wrapped ? layerOf(layer, 'coupling', out) : layer);
    if (!parts) return out.fail('is no coupling as an import makes it');
    const [first, second] = parts.channels;
    const all = Array.from({ length: first + second }, (_, i) => i);
    const turned = parts.moves === 'first' ? [...all.slice(first), ...all.slice(0, first)] : all;
    const order = wrapped
      ? expectLayer(layerOf(layer, 'features', out), Permutation, out).order
      : turned;
    const kept = parts.moves === 'first' ? second : first;
    out.set('identity_features', [kept], order.slice(0, kept));
    out.set('transform_features', [order.length - kept], order.slice(kept));
    const layers = await layersOf(parts.conditioner, 'residual', out);
    if (parts.scaleFunction) layers.push(reordered(layers.pop()!, shiftFirst, 'back'));
    writeResidualNet(layers, out.at('transform_net'));
  },
};

/** `ResidualNet` or `ConvResidualNet`. */
function readResidualNet(net: Section) {
  if (!net.has('initial_layer')) {
    net.fail(
      `holds ${net.children.join(', ')}; expected a ResidualNet or a ConvResidualNet without context`,
    );
  }
  const blocks = net.has('blocks') ? net.at('blocks') : undefined;
  const inner = (blocks?.indices ?? []).flatMap((i) => {
    const block = blocks!.at(String(i));
    const pair = block.at(block.has('conv_layers') ? 'conv_layers' : 'linear_layers');
    return [readLayer(pair.at('0')), readLayer(pair.at('1'))];
  });
  return [readLayer(net.at('initial_layer')), ...inner, readLayer(net.at('final_layer'))];
}

function writeResidualNet(layers: readonly LayerNumbers[], net: SectionWriter): void {
  const pair = layers[0]!.shape.length > 2 ? 'conv_layers' : 'linear_layers';
  writeLayer(layers[0]!, net.at('initial_layer'));
  layers.slice(1, -1).forEach((layer, i) => {
    const block = net.at('blocks').at(String(i >> 1));
    writeLayer(layer, block.at(pair).at(String(i % 2)));
  });
  writeLayer(layers.at(-1)!, net.at('final_layer'));
}

function isOrdered(order: readonly number[]): boolean {
  return order.every((feature, i) => feature === i);
}

function readPermutation(state: Section): Permutation {
  const [channels = 0] = state.shapeOf('_permutation');
  return new Permutation({ channels, order: state.indicesOf('_permutation', channels) });
}

async function writePermutation(layer: Bijection, out: SectionWriter): Promise<void> {
  const { order, channels } = expectLayer(layer, Permutation, out);
  out.set('_permutation', [channels], order);
}

/** A permutation, and a `LULinear` behind it. */
const oneByOne: Kind<Context> = {
  recognizes: (state) => state.has('lower_entries') && state.has('permutation'),
  read: (state) =>
    new Sequential({
      permutation: readPermutation(state.at('permutation')),
      linear: readTriangles(state),
    }),
  async write(layer, out) {
    const layers = expectSequential(layer, out);
    await writePermutation(layerOf(layers, 'permutation', out), out.at('permutation'));
    await writeTriangles(layerOf(layers, 'linear', out), out);
  },
};

const kinds: Kinds<Context> = {
  CompositeTransform: composite,
  InverseTransform: inverse,
  ActNorm: actNorm,
  CouplingTransform: coupling,
  Permutation: {
    recognizes: (state) => state.has('_permutation'),
    read: readPermutation,
    write: writePermutation,
  },
  OneByOneConvolution: oneByOne,
  LULinear: {
    recognizes: (state) => state.has('lower_entries'),
    read: readTriangles,
    write: writeTriangles,
  },
  SqueezeTransform: {
    read: () => new ShuffleSqueeze({ order: 'channel' }),
    async write() {},
  },
  IdentityTransform: { read: () => new Identity(), async write() {} },
};
