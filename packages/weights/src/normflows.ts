/**
 * Models of normflows 1.7.3 (Stimper et al., 2023): `NormalizingFlow` and `MultiscaleFlow` of its affine
 * flows. Left out: class-conditional models, autoregressive and spline flows, and `net_actnorm`.
 */

import { Flow } from '@invnet/flows';
import {
  type Bijection,
  ChannelHalves,
  Construction,
  Parallel,
  reverse,
  Sequential,
  ShuffleSqueeze,
} from '@invnet/layers';
import {
  requireAtLeast,
  requireBetween,
  requireBoolean,
  requireOneOf,
  requireOptions,
} from '@invnet/tensor';
import { type Gaps, requireGaps, writeModules } from './kinds.ts';
import { kinds, type ModuleContext, readList, scaleMaps } from './normflows-modules.ts';
import {
  expectLayer,
  expectSequential,
  filled,
  layerOf,
  ndimsOf,
  scaleAndShift,
  scaleAndShiftOf,
} from './pieces.ts';
import { Section, SectionWriter, type WeightsSource } from './state-dict.ts';

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

type Context = Required<NormflowsOptions> & ModuleContext;

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
  state.require('q0', 'the base of a NormalizingFlow or MultiscaleFlow');
  const levels = state.at('q0').indices;
  const network = levels.length === 0 ? readFlat(state, context) : readLevels(state, context);
  state.finish(context.gaps);
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
