/** Networks that make a few numbers of an observation, with its standardization in front; trained with the estimator. */
import type { HostArray } from '@invnet/datasets';
import {
  asConditioner,
  Conditioner,
  Construction,
  Conv,
  chain,
  DeepSet,
  Dense,
  DenseBlock,
  GlobalAveragePool,
  relu,
  requireConditioner,
  requireSizes,
  SetTransformer,
  Standardization,
} from '@invnet/layers';
import {
  formatShape,
  type RandomStream,
  requireBoolean,
  requireOneOf,
  requireOptions,
  ShapeError,
  ValueError,
} from '@invnet/tensor';
import { FeatureStandardization } from './feature-standardization.ts';
import { momentsOf } from './moments.ts';

/** Kinds of observations, each with a network that suits it. */
export type SummaryKind = 'none' | 'dense' | 'series' | 'image' | 'deep-set' | 'set-transformer';

const kinds = ['none', 'dense', 'series', 'image', 'deep-set', 'set-transformer'] as const;

/** A summary network and its sizes. */
export interface SummaryOptions {
  /**
   * Vectors [N, F] as they are (`none`) or through a `dense` network; `series` [N, C, T] and `image`s [N, C, H, W] or
   * volumes by convolutions; sets [N, M, F] of any size, whose elements are independent given the parameters, by a
   * `deep-set` or a `set-transformer`.
   */
  readonly kind: SummaryKind;
  /** Numbers of the summary. Default: 4 for each parameter, and 16 at least. */
  readonly features?: number;
  /** Width of the network. Default: 64; of convolutions, 16 channels at first. */
  readonly hidden?: number;
  /** Have sets a last feature that is 1 for elements that are there, as of `padSets`? Default: false. */
  readonly masked?: boolean;
}

/** A summary by its kind, by its options, or a network of your own that makes [N, features] of observations. */
export type Summary = SummaryKind | SummaryOptions | Conditioner;

/** A summary network, and what it takes and gives. */
export interface MadeSummary {
  /** Observations as they are to [N, features]. */
  readonly network: Conditioner;
  readonly features: number;
  /** Of one observation; null along an axis that may have any size. */
  readonly observation: readonly (number | null)[];
}

/**
 * A summary for observations x, whose means and deviations become part of it.
 *
 * @param parameters - Their number, D.
 * @throws ValueError where the kind cannot be told from the shape. @throws ShapeError for observations of another rank.
 */
export function makeSummary(
  op: string,
  summary: Summary | undefined,
  x: HostArray,
  { parameters, random }: { parameters: number; random: RandomStream },
): MadeSummary {
  using building = new Construction();
  const made = make(op, summary ?? defaultKind(op, x), x, parameters, random);
  building.complete();
  return made;
}

/** More numbers than this are compressed before every layer of the estimator sees them. */
const mostPlain = 64;

function defaultKind(op: string, { shape }: HostArray): SummaryKind {
  if (shape.length === 2) return shape[1]! > mostPlain ? 'dense' : 'none';
  throw new ValueError(
    `${op}: observations are ${formatShape(shape)}; expected vectors [N, F], or a summary that says what they are: ` +
      "'series' [N, C, T], 'image' [N, C, H, W], 'deep-set' or 'set-transformer' [N, M, F].",
  );
}

function make(
  op: string,
  summary: Summary,
  x: HostArray,
  parameters: number,
  random: RandomStream,
): MadeSummary {
  if (summary instanceof Conditioner) {
    const own = requireConditioner(op, 'summary', summary);
    const [, features, ...rest] = own.outputShape(x.shape) ?? [];
    if (features === undefined || rest.length > 0) {
      throw new ShapeError(
        `${op}: the summary makes ${formatShape(own.outputShape(x.shape) ?? [])} of ${formatShape(x.shape)}; expected ` +
          '[N, features].',
      );
    }
    const network = chain(standardized(x), own);
    return { network, features, observation: x.shape.slice(1) };
  }
  const options = typeof summary === 'string' ? { kind: summary } : summary;
  requireOptions(`${op}: summary`, options, ['kind', 'features', 'hidden', 'masked']);
  const { kind, masked = false, features = Math.max(16, 4 * parameters) } = options;
  requireOneOf(op, 'summary', kind, kinds);
  requireBoolean(op, 'summary.masked', masked);
  requireSizes(op, { features });
  const observation = x.shape.slice(1);
  if (kind === 'none') {
    requireRank(op, kind, x, 2);
    return { network: standardized(x), features: x.shape[1]!, observation };
  }
  if (kind === 'dense') {
    requireRank(op, kind, x, 2);
    const { hidden = 64 } = options;
    const sizes = { inChannels: x.shape[1]!, hidden, outChannels: features, random };
    return { network: chain(standardized(x), new DenseBlock(sizes)), features, observation };
  }
  if (kind === 'series' || kind === 'image') {
    const { hidden = 16 } = options;
    const network = chain(standardized(x), convolutions(op, kind, x, hidden, features, random));
    return { network, features, observation };
  }
  requireRank(op, kind, x, 3);
  const last = x.shape[2]!;
  const { hidden = 64 } = options;
  const sizes = {
    features: masked ? last - 1 : last,
    hidden,
    outChannels: features,
    masked,
    random,
  };
  const network = kind === 'deep-set' ? new DeepSet(sizes) : new SetTransformer(sizes);
  return {
    network: chain(standardizedSets(x, masked), network),
    features,
    observation: [null, last],
  };
}

/** Strided convolutions that widen as they shrink, until little is left; then the mean over what is. */
function convolutions(
  op: string,
  kind: 'series' | 'image',
  x: HostArray,
  hidden: number,
  features: number,
  random: RandomStream,
): Conditioner {
  const [, inChannels, ...size] = x.shape;
  const ndims = size.length;
  const fits = kind === 'series' ? ndims === 1 : ndims === 2 || ndims === 3;
  if (!fits) requireRank(op, kind, x, kind === 'series' ? 3 : 4);
  const halvings = Math.max(1, Math.min(4, Math.floor(Math.log2(Math.min(...size))) - 1));
  let [channels, wide] = [inChannels!, hidden];
  const layers = [];
  for (let i = 0; i < halvings; i++) {
    const sizes = { inChannels: channels, outChannels: wide, ndims, random };
    layers.push(new Conv({ ...sizes, kernel: 3, stride: 1 }), relu());
    layers.push(new Conv({ ...sizes, inChannels: wide, kernel: 2, stride: 2 }), relu());
    [channels, wide] = [wide, Math.min(2 * wide, 128)];
  }
  const end = new Dense({ inChannels: channels, outChannels: features, random });
  return chain(...layers, new GlobalAveragePool(), end);
}

function standardized(x: HostArray): Conditioner {
  const layer = new Standardization({ channels: x.shape[1]! });
  layer.set(momentsOf(x, 1));
  return asConditioner(layer);
}

function standardizedSets(x: HostArray, masked: boolean): Conditioner {
  const features = x.shape[2]!;
  const layer = new FeatureStandardization({ features });
  const { mean, deviation } = momentsOf(masked ? elementsThere(x) : x, masked ? 1 : 2);
  // The mask stays as it is.
  layer.mean.write(Float64Array.from(masked ? [...mean.slice(0, -1), 0] : mean));
  layer.deviation.write(Float64Array.from(masked ? [...deviation.slice(0, -1), 1] : deviation));
  return layer;
}

/** All elements that a mask leaves, as rows. */
function elementsThere({ shape, data }: HostArray): HostArray {
  const size = shape[2]!;
  const rows: number[] = [];
  for (let i = 0; i < data.length; i += size) {
    if (data[i + size - 1]! > 0.5) for (let c = 0; c < size; c++) rows.push(data[i + c]!);
  }
  return { shape: [rows.length / size, size], data: Float64Array.from(rows) };
}

function requireRank(op: string, kind: SummaryKind, { shape }: HostArray, rank: number): void {
  if (shape.length === rank) return;
  throw new ShapeError(
    `${op}: observations are ${formatShape(shape)}; expected ${rank} axes for the summary '${kind}'.`,
  );
}
