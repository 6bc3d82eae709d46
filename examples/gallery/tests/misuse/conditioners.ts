/** Right calls of the conditioners of `@invnet/layers`, and of what makes them. */
import * as api from '@invnet/layers';
import { ones, RandomStream } from '@invnet/tensor';
import { type Calls, call, make } from './call.ts';
import { blockMethods } from './layers.ts';

/** Calls of these exports. */
export function conditionerCalls(): Calls {
  const factory = () => new api.DenseBlock({ inChannels: 2, hidden: 2, outChannels: 2 });
  const block = factory();
  const shape = { inChannels: 2, outChannels: 2, ndims: 0, contextChannels: 1 };
  const random = new RandomStream(3);
  const [x, v] = [random.normal([1, 2, 4, 4]), random.normal([2, 2])];
  const sizes = { inChannels: 2, outChannels: 2 };
  const sets = { features: 2, hidden: 2, random };
  const attention = { channels: 2, heads: 1, contextChannels: 2, masked: true, random };
  const conv = { ...sizes, kernel: 2, stride: 2, ndims: 2, gain: 1, random };
  const unet = { ...sizes, hidden: 1, levels: 1, ndims: 2, kernel: 3, down: 'conv', up: 'nearest' };
  const blocks = { ...sizes, hidden: 2, activation: api.elu(), normalization: 'layer' };
  return {
    ActivationLayer: [
      make(api.ActivationLayer, [{ activation: api.silu() }]),
      ...blockMethods(new api.ActivationLayer({ activation: api.gelu() }), v),
    ],
    AveragePool: [
      make(api.AveragePool, [{ factor: 2 }]),
      ...blockMethods(new api.AveragePool(), x),
    ],
    Chain: [make(api.Chain, [{ layers: [block] }]), ...blockMethods(api.chain(block), v)],
    chain: [call(api.chain, [block, api.relu(), new api.ActNorm({ channels: 2 })])],
    concatSkip: [call(api.concatSkip, [block])],
    Conv: [make(api.Conv, [conv]), ...blockMethods(new api.Conv(sizes), x)],
    convBlock: [
      call(api.convBlock, [{ ...blocks, ndims: 2, kernel1: 3, kernel2: 1, stride: 1 }]),
      call(api.convBlock, [{ ...blocks, ndims: 0 }]),
    ],
    ConvTranspose: [
      make(api.ConvTranspose, [conv]),
      ...blockMethods(new api.ConvTranspose(sizes), x),
    ],
    Dense: [make(api.Dense, [{ ...sizes, gain: 1 }]), ...blockMethods(new api.Dense(sizes), v)],
    elu: [call(api.elu, [{ alpha: 1 }])],
    gelu: [call(api.gelu, [])],
    GlobalAveragePool: [
      make(api.GlobalAveragePool, [{}]),
      ...blockMethods(new api.GlobalAveragePool(), x),
    ],
    attentionBlock: [
      call(api.attentionBlock, [{ ...attention, ndims: 1, hidden: 2, activation: api.relu() }]),
    ],
    DeepSet: [
      make(api.DeepSet, [
        { ...sets, activation: api.relu(), pooling: 'sum', masked: false, outChannels: 1 },
      ]),
      ...blockMethods(new api.DeepSet({ ...sets, outChannels: 1 }), ones([2, 3, 2])),
    ],
    InducedAttention: [
      make(api.InducedAttention, [{ ...attention, points: 2 }]),
      ...blockMethods(
        new api.InducedAttention({ channels: 2, contextChannels: 1, points: 1 }),
        ones([1, 2, 3]),
        ones([1, 1, 2]),
      ),
    ],
    MultiHeadAttention: [
      make(api.MultiHeadAttention, [attention]),
      ...blockMethods(new api.MultiHeadAttention({ channels: 2 }), x),
    ],
    padSets: [call(api.padSets, [[v, ones([1, 2])]])],
    SetTransformer: [
      make(api.SetTransformer, [
        { ...sets, heads: 1, blocks: 1, seeds: 1, inducing: 1, masked: true, outChannels: 1 },
      ]),
      ...blockMethods(
        new api.SetTransformer({ ...sets, heads: 1, outChannels: 1 }),
        ones([2, 3, 2]),
      ),
    ],
    LayerNorm: [
      make(api.LayerNorm, [{ channels: 2, epsilon: 1e-5 }]),
      ...blockMethods(new api.LayerNorm({ channels: 2 }), v),
    ],
    MaxPool: [make(api.MaxPool, [{ factor: 2 }]), ...blockMethods(new api.MaxPool(), x)],
    residual: [call(api.residual, [block])],
    silu: [call(api.silu, [])],
    SkipConnection: [
      make(api.SkipConnection, [{ inner: block, join: 'add' }]),
      ...blockMethods(api.concatSkip(new api.AveragePool()), ones([1, 1, 3])),
    ],
    UNet: [
      make(api.UNet, [{ ...unet, activation: api.relu(), normalization: 'none' }]),
      ...blockMethods(new api.UNet({ ...sizes, hidden: 1, levels: 1 }), x),
    ],
    Upsample: [make(api.Upsample, [{ factor: 2 }]), ...blockMethods(new api.Upsample(), x)],
    makeConditioner: [
      call(api.makeConditioner, ['coupling', undefined, shape, { hidden: 2 }]),
      call(api.makeConditioner, ['coupling', block, shape, {}]),
      call(api.makeConditioner, ['coupling', factory, shape, {}]),
    ],
    withContext: [call(api.withContext, [factory])],
    supplyConditioners: [
      call(api.supplyConditioners, ['Glow', [block]]),
      call(api.supplyConditioners, ['Glow', factory]),
    ],
  };
}
