/**
 * `NetworkGlow` of InvertibleNetworks.jl, in 1D, 2D and 3D, from the file that the script in
 * docs/pytorch.md writes. Left out: dense and conditional networks, wavelet squeezes, and strides.
 */
import {
  ActNorm,
  type Bijection,
  Construction,
  Conv1x1,
  FirstHalf,
  ResidualBlock,
  reverse,
  Sequential,
  type ShufflePattern,
  ShuffleSqueeze,
  sigmoid,
} from '@invnet/layers';
import { requireBetween, requireOneOf, requireOptions } from '@invnet/tensor';
import { couplingOf, partsOfCoupling } from './coupling.ts';
import { expectLayer, expectSequential, fill, filled, layerOf, numbersOf } from './pieces.ts';
import { Section, SectionWriter, type WeightsSource } from './state-dict.ts';

/** What a `NetworkGlow` was made with and does not remember as numbers; defaults are its own. */
export interface InvertibleNetworksJlOptions {
  /** `low` and `high` of its `SigmoidLayer`. Default: 0 and 1. */
  readonly low?: number;
  readonly high?: number;
  /** Of its `ShuffleLayer`. Default: `checkerboard`. */
  readonly pattern?: ShufflePattern;
}

/**
 * The network of a `NetworkGlow`: its `forward` is theirs, but that results of several scales are one
 * image, each scale unsqueezed, where they are one vector there, and that log-determinants are those of
 * each sample, where they are the mean there.
 *
 * @throws WeightsError for tensors that are missing, unknown or of other shapes.
 * @example
 * const network = importInvertibleNetworksJl(await readFile('glow.safetensors'));
 * const flow = new Flow({ network });
 */
export function importInvertibleNetworksJl(
  source: WeightsSource,
  options: InvertibleNetworksJlOptions = {},
): Sequential {
  const op = 'importInvertibleNetworksJl';
  using building = new Construction();
  requireOptions(op, options, ['low', 'high', 'pattern']);
  const { low = 0, high = 1, pattern = 'checkerboard' } = options;
  requireOneOf(op, 'pattern', pattern, ['column', 'patch', 'checkerboard']);
  requireBetween(op, 'low', low);
  requireBetween(op, 'high', high, low);
  const state = Section.of(op, source);
  const [split] = state.numbers('split_scales', []);
  const scales = state.at('AN').indices;
  const steps = scales.map((i) => readSteps(state, i, { low, high }));
  if (steps.length === 0) state.fail('has no AN, the normalizations of a NetworkGlow');
  state.finish();
  const network =
    split === 0
      ? new Sequential(Object.fromEntries(steps.map((s, i) => [`scale${i + 1}`, s])))
      : steps.reduceRight<Sequential | undefined>((inside, own) => {
          return new Sequential({
            squeeze: new ShuffleSqueeze({ pattern }),
            steps: own,
            ...(inside && { inside: new FirstHalf(inside) }),
            unsqueeze: reverse(new ShuffleSqueeze({ pattern })),
          });
        }, undefined)!;
  building.complete();
  return network;
}

/**
 * The weights of such a network as the file that the script in docs/pytorch.md reads into a
 * `NetworkGlow` of the same sizes.
 *
 * @throws WeightsError for a network that is not built as an imported one.
 * @example await writeFile('glow.safetensors', await exportInvertibleNetworksJl(network));
 */
export async function exportInvertibleNetworksJl(
  network: Bijection,
): Promise<Uint8Array<ArrayBuffer>> {
  const out = new SectionWriter('exportInvertibleNetworksJl');
  const outermost = expectSequential(network, out);
  const split = outermost.names.includes('steps');
  const scales = split ? scalesIn(outermost, out) : outermost.layers;
  out.set('split_scales', [], [split ? 1 : 0]);
  for (const [i, steps] of scales.entries()) {
    for (const [j, step] of expectSequential(steps, out).layers.entries()) {
      await writeStep(expectSequential(step, out), out, `${i + 1}.${j + 1}`);
    }
  }
  return out.bytes();
}

/** The steps of each scale, the outermost first. */
function scalesIn(scale: Bijection, out: SectionWriter): Bijection[] {
  const layers = expectSequential(scale, out);
  const steps = layerOf(layers, 'steps', out);
  if (!layers.names.includes('inside')) return [steps];
  const { inner } = expectLayer(layerOf(layers, 'inside', out), FirstHalf, out);
  return [steps, ...scalesIn(expectSequential(inner, out), out)];
}

function readSteps(
  state: Section,
  scale: number,
  sizes: { readonly low: number; readonly high: number },
): Sequential {
  const indices = state.at('AN').at(String(scale)).indices;
  return new Sequential(
    indices.map((j) => {
      const at = (part: string) => state.at(part).at(String(scale)).at(String(j));
      const norm = readActNorm(at('AN'));
      const coupling = at('CL');
      return new Sequential({
        norm,
        mix: readConv1x1(coupling.at('C'), norm.channels),
        coupling: readCoupling(coupling.at('RB'), norm.channels, sizes),
      });
    }),
  );
}

async function writeStep(step: Sequential, out: SectionWriter, name: string): Promise<void> {
  const an = out.at(`AN.${name}`);
  const norm = expectLayer(layerOf(step, 'norm', an), ActNorm, an);
  an.set('s', [norm.channels], await numbersOf(norm.scale));
  an.set('b', [norm.channels], await numbersOf(norm.shift));
  const c = out.at(`CL.${name}.C`);
  const { weights } = expectLayer(layerOf(step, 'mix', c), Conv1x1, c);
  for (const [i, v] of weights.entries()) {
    c.set(`v${3 - i}`, [norm.channels], await numbersOf(v));
  }
  await writeBlock(layerOf(step, 'coupling', out), out.at(`CL.${name}.RB`));
}

function readActNorm(state: Section): ActNorm {
  const [channels = 0] = state.shapeOf('s');
  const norm = new ActNorm({ channels });
  fill(norm.scale, state.numbers('s'), state);
  fill(norm.shift, state.numbers('b', [channels]), state);
  return norm;
}

/** Theirs multiplies rows, Xᵀ H₁ H₂ H₃, so that the last reflection here is their first. */
function readConv1x1(state: Section, channels: number): Conv1x1 {
  const mix = new Conv1x1({ channels });
  mix.weights.forEach((v, i) => {
    fill(v, state.numbers(`v${3 - i}`, [channels]), state);
  });
  return mix;
}

/**
 * The first part of the channels moves by the second. Their block adds its second layer's input to its
 * result, has no bias in the third, which is an adjoint, and turns kernels around, as `conv` of NNlib does.
 */
function readCoupling(
  state: Section,
  channels: number,
  { low, high }: { readonly low: number; readonly high: number },
): Bijection {
  const [hidden = 0, kept = 0, ...size] = state.shapeOf('W1');
  const [k1 = 1] = size;
  const ndims = size.length;
  const moved = channels - kept;
  const middle = state.shapeOf('W2').slice(2);
  const [k2 = 1] = middle;
  const w1 = state.numbers('W1', [hidden, kept, ...size]);
  const w2 = state.numbers('W2', [hidden, hidden, ...middle]);
  const w3 = state.numbers('W3', [hidden, 2 * moved, ...size]);
  if (ndims < 1 || ndims > 3 || k1 % 2 === 0 || k2 % 2 === 0 || new Set(size).size > 1) {
    state.fail(
      `has kernels of the sizes [${size.join(', ')}] and [${middle.join(', ')}]; expected odd ones`,
    );
  }
  const sizes = { inChannels: kept, hidden, outChannels: 2 * moved, ndims };
  const options = { kernel1: k1, kernel2: k2, outputActivation: 'relu' } as const;
  const block = new ResidualBlock({ ...sizes, ...options });
  const zero = filled([2 * moved], 0);
  const middleLayer = plusIdentity(turned(w2, k2 ** ndims), hidden, 1);
  const last = channelsSwapped(w3, hidden, 2 * moved);
  const [b1, b2] = [state.numbers('b1', [hidden]), state.numbers('b2', [hidden])];
  [turned(w1, k1 ** ndims), b1, middleLayer, b2, last, zero].forEach((numbers, i) => {
    fill(block.weights[i]!, numbers, state);
  });
  block.weights[5]!.frozen = true;
  const scaleFunction = sigmoid({ low, high });
  return couplingOf({ channels: [moved, kept], moves: 'first', conditioner: block, scaleFunction });
}

async function writeBlock(coupling: Bijection, out: SectionWriter): Promise<void> {
  const parts = partsOfCoupling(coupling);
  if (!parts) return out.fail('is no coupling as an import makes it');
  const { weights, options } = expectLayer(parts.conditioner, ResidualBlock, out);
  const [w1, b1, w2, b2, w3, b3] = await Promise.all(weights.map(numbersOf));
  const { inChannels, hidden, outChannels, ndims, kernel1, kernel2 } = options;
  if (b3!.some((v) => v !== 0)) {
    out.fail('has a bias behind its third layer, which theirs has not; expected zeros there');
  }
  const kernel = (k: number) => new Array<number>(ndims).fill(k);
  out.set('W1', [hidden, inChannels, ...kernel(kernel1)], turned(w1!, kernel1 ** ndims));
  const middle = plusIdentity(w2!, hidden, -1);
  out.set('W2', [hidden, hidden, ...kernel(kernel2)], turned(middle, kernel2 ** ndims));
  const last = channelsSwapped(w3!, outChannels, hidden);
  out.set('W3', [hidden, outChannels, ...kernel(kernel1)], last);
  out.set('b1', [hidden], b1!);
  out.set('b2', [hidden], b2!);
}

/** Each kernel turned by half a circle. */
function turned(w: Float64Array, size: number): Float64Array {
  return w.map((_, at) => w[at - (at % size) + size - 1 - (at % size)]!);
}

/** ± the kernels that change nothing. */
function plusIdentity(w: Float64Array, channels: number, sign: 1 | -1): Float64Array {
  const size = w.length / channels ** 2;
  const sum = Float64Array.from(w);
  for (let c = 0; c < channels; c++) sum[c * (channels + 1) * size + (size - 1) / 2]! += sign;
  return sum;
}

/** [a, b, …kernel] → [b, a, …kernel] */
function channelsSwapped(w: Float64Array, a: number, b: number): Float64Array {
  const size = w.length / (a * b);
  return w.map((_, at) => {
    const [i, j, k] = [Math.floor(at / (a * size)), Math.floor(at / size) % a, at % size];
    return w[(j * b + i) * size + k]!;
  });
}
