/**
 * Which networks may be split: those all of whose parts are local in space, or convolutions. A backend
 * sees sums and products, not what they mean; so this looks at the modules.
 */
import { Composite, type Module, placesIn } from '@invnet/layers';
import { requireList, requireOptions, ValueError } from '@invnet/tensor';

/** What keeps a module of a type from being split, in words; nothing where all of them may be. */
type Obstacle = (module: Module) => string | undefined;

const nothing: Obstacle = () => undefined;
const always = (reason: string) => () => reason;

const ofEachNumber: Obstacle = ({ options: { size } }) =>
  size === undefined
    ? undefined
    : 'it has parameters for every position of the whole; expected those of channels, without `size`';

/** All types that are known. */
export const obstacles: Readonly<Record<string, Obstacle>> = {
  ...Object.fromEntries(
    [
      ...[
        'ActNorm',
        'Standardization',
        'Conv1x1',
        'Elementwise',
        'Logit',
        'HaarSqueeze',
        'Identity',
        'Permutation',
      ],
      ...['AsConditioner', 'ResidualBlock', 'SymmetricBlock', 'ResNet', 'ConvLayer', 'WithContext'],
      ...['ActivationLayer', 'Chain', 'Conv', 'ConvTranspose', 'LayerNorm', 'UNet'],
      'Upsample',
      ...['ChannelHalves', 'FirstHalf', 'JoinedChannels', 'Parallel', 'Reversed', 'Sequential'],
      ...[
        'Swapped',
        'AdditiveCoupling',
        'BasicCoupling',
        'GlowCoupling',
        'ConditionalGlowCoupling',
      ],
      ...[
        'AdditiveTransformer',
        'AffineTransformer',
        'ConditionalTransform',
        'TransformerCoupling',
        'TwoSidedCoupling',
        'AllInOneBlock',
        'JoinedConditioners',
        'ScaledConditioner',
      ],
      ...[
        'Box',
        'CircularShift',
        'LearnedSlopes',
        'ScalingTransformer',
        'Ordered',
        'StickBreaking',
        'PeriodicFeatures',
      ],
      ...['Householder', 'Orthogonal', 'InvertibleBatchNorm'],
      ...['RationalQuadraticSpline', 'QuadraticSpline', 'LinearSpline'],
      ...['HintCoupling', 'ConditionalHintCoupling', 'RecursiveCoupling', 'IrimCoupling'],
      ...['HyperbolicLayer', 'Leapfrog', 'Glow', 'ConditionalGlow', 'MultiScale', 'MultiScaleHint'],
      ...['ConditionalHint', 'MultiScaleConditionalHint', 'HyperbolicNetwork', 'SummarizedNetwork'],
      ...[
        'UnrolledLoop',
        'InvertibleUNet',
        'LearnedSqueeze',
        'LearnedPrior',
        'Flow',
        'StandardNormal',
        'Uniform',
        'Autoregressive',
      ],
    ].map((type) => [type, nothing]),
  ),
  ShuffleSqueeze: ({ options: { pattern } }) =>
    pattern === 'checkerboard'
      ? undefined
      : `its pattern '${pattern}' joins places that lie far apart; expected 'checkerboard'`,
  WaveletSqueeze: always('its wavelets are periodic in the whole volume; expected a HaarSqueeze'),
  AffineLayer: always('it has a number for every position of the whole; expected an ActNorm'),
  ElementwiseTransform: ofEachNumber,
  Normal: ofEachNumber,
  MultivariateNormal: ofEachNumber,
  StudentT: ofEachNumber,
  NormalMixture: always('its components are of whole samples; expected a Normal'),
  MixtureFlow: always('its components are of whole samples; expected one flow'),
  ClassConditional: always('its context is a vector; expected a Normal'),
  ConditionalNormal: always('its context may be of the whole volume; expected a Normal'),
  ConditionalHouseholder: always('its vectors may be of the whole volume; expected a Householder'),
  Reshape: always('it joins places that lie far apart; expected a ShuffleSqueeze'),
  MaskedCoupling: always('its mask is of the whole; expected a squeeze and a GlowCoupling'),
  VolumePreservingTransformer: ({ options: { over } }) =>
    over === 'channels'
      ? undefined
      : "its mean is over the whole of a sample; expected over: 'channels'",
  BatchNorm: ({ training }) =>
    training
      ? 'its statistics are of the whole batch; expected evaluation, network.training = false'
      : undefined,
  SkipConnection: ({ options: { join } }) =>
    join === 'add'
      ? undefined
      : 'what is less than x inside has zeros behind it, in each slab; expected residual',
  AveragePool: always('its windows may lie across two slabs; expected a Conv with a stride'),
  MaxPool: always('its windows may lie across two slabs; expected a Conv with a stride'),
  InducedAttention: always('each place sees all of the volume; expected convolutions'),
  MultiHeadAttention: always('each place sees all of the volume; expected convolutions'),
  DeepSet: always('it is made for sets, which have no axis to split'),
  SetTransformer: always('it is made for sets, which have no axis to split'),
  GlobalAveragePool: always('it makes vectors of volumes, which have no axis to split'),
  RevNet: always('it makes vectors of volumes, which have no axis to split'),
  Dense: always('it is made for vectors, which have no axis to split'),
  DenseBlock: always('it is made for vectors, which have no axis to split'),
  MadeBlock: always('it is made for vectors, which have no axis to split'),
  Flattened: always('it makes vectors of volumes, which have no axis to split'),
  Unflattened: always('it makes vectors of volumes, which have no axis to split'),
  GraphNetwork: ({ options: { nodes } }) => graphObstacle(nodes as readonly Node[]),
  ConditionalResidualBlock: always('its dense layer makes the whole volume; expected WithContext'),
  MisfitGradient: always('its operator sees the whole volume'),
  InvertibleResidual: always('its inverse and its log-determinant are found for whole samples'),
  LipschitzBlock: always('its norms are those of whole samples'),
  Planar: always('it sums over the whole volume'),
  Radial: always('it measures distances of the whole volume'),
  LipschitzActivation: nothing,
  LipSwish: nothing,
  TriangularSylvester: nothing,
  Sylvester: nothing,
  ConditionerField: nothing,
  SmoothField: always('it is made for vectors, which have no axis to split'),
  ContinuousFlow: always('its steps and its divergence are those of whole samples'),
  MidpointFlow: always('it is made for vectors, which have no axis to split'),
  SpectralDense: always('it is made for vectors, which have no axis to split'),
  SpectralConv: always('its norm is that of the whole volume'),
  AxisHalves: ({ options: { axis } }) =>
    axis === 1 ? undefined : 'its halves lie far apart; expected those of the channels, axis: 1',
  CustomBijection: always('what its functions do is not known'),
  CustomBlock: always('what its functions do is not known'),
};

/** Which modules to trust. */
export interface LocalOptions {
  /** Types of one's own, or whose names stand here, that are local in space or convolutions. Default: none. */
  readonly local?: readonly string[];
}

/**
 * Checks that a network computes the same in slabs as in one piece.
 *
 * @throws ValueError that names the part that does not, with its path, or that is not known.
 * @example
 * requireLocal(flow);
 * requireLocal(net, { local: ['Octave'] }); // a layer of one's own
 */
export function requireLocal(network: Module, options: LocalOptions = {}): void {
  requireOptions('requireLocal', options, ['local']);
  const { local = [] } = options;
  requireList('requireLocal', 'local', local);
  for (const { path, module } of placesIn(network)) {
    const { type } = module;
    if (local.includes(type)) continue;
    const reason = obstacleOf(module);
    if (reason === undefined) continue;
    const place = path === '' ? '' : `, at ${path},`;
    throw new ValueError(`requireLocal: ${type}${place} cannot be split: ${reason}.`);
  }
}

/** A node of a graph, as its options have it. */
interface Node {
  readonly kind: string;
  readonly name: string;
  readonly axis?: number;
}

/** Several ends are packed into vectors, and parts along an axis of space lie on different ranks. */
function graphObstacle(nodes: readonly Node[]): string | undefined {
  for (const end of ['input', 'output', 'condition']) {
    if (nodes.filter(({ kind }) => kind === end).length < 2) continue;
    return `it makes vectors of each ${end}, which have no axis to split; expected one of each kind`;
  }
  const along = nodes.find(({ axis = 1 }) => axis > 1);
  return along && `its node '${along.name}' is along an axis of space; expected the channels`;
}

/** What is composed of parts is what they are, and they come as well. */
function obstacleOf(module: Module): string | undefined {
  const { type } = module;
  if (Object.hasOwn(obstacles, type)) return obstacles[type]!(module);
  if (module instanceof Composite) return undefined;
  return 'it is none of the types known to be local; if all that it does is local or a convolution, name it in `local`';
}
