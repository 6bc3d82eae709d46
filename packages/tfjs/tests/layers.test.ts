/** Networks as layers of tfjs: trained by `model.fit`, saved and loaded. */
import { twoMoons } from '@invnet/datasets';
import { Flow, flowCatalogue } from '@invnet/flows';
import { BatchNorm, ConfigurationError, GlowCoupling, initializeSync } from '@invnet/layers';
import { ConditionalGlow, Glow } from '@invnet/networks';
import { memory, RandomStream, ShapeError, setBackend, ValueError } from '@invnet/tensor';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeEach, describe, expect, it } from 'vitest';
import { InvNetLayer, registerInvNetLayer } from '../src/layers.ts';
import { hostMemory, normals } from './host.ts';

const sizes = () =>
  ({ ndims: 0, scales: 1, steps: 2, hidden: 8, random: new RandomStream(1) }) as const;
const negativeMean = (_: tf.Tensor, logProb: tf.Tensor) => tf.neg(tf.mean(logProb));

beforeEach(async () => {
  await setBackend('wasm');
  await tf.setBackend('cpu');
});

it('model.fit trains a flow behind layers of tfjs, whose gradients it gets as well', async () => {
  const network = new ConditionalGlow({ channels: 2, contextChannels: 3, ...sizes() });
  const flow = new Flow({ network });
  const layer = new InvNetLayer({ map: flow, name: 'flow' });
  const [x, c] = [tfl.input({ shape: [2] }), tfl.input({ shape: [4] })];
  const summary = tfl.layers.dense({ units: 3, activation: 'tanh' });
  const outputs = layer.apply([x, summary.apply(c) as tfl.SymbolicTensor]);
  const model = tfl.model({ inputs: [x, c], outputs: outputs as tfl.SymbolicTensor });
  expect(model.trainableWeights.length).toBe(2 + flow.parameters.length);
  expect(model.outputs[0]!.shape).toEqual([null, 1]);
  model.compile({ optimizer: tf.train.adam(2e-2), loss: negativeMean });
  const start = summary.getWeights()[0]!.dataSync().slice();
  const data = [normals([64, 2], 3), normals([64, 4], 4)];
  const settings = { epochs: 12, batchSize: 32, verbose: 0 as const };
  const { history } = await model.fit(data, tf.zeros([64, 1]), settings);
  const losses = history.loss as number[];
  expect(losses.at(-1)).toBeLessThan(losses[0]! - 0.02);
  expect(summary.getWeights()[0]!.dataSync()).not.toEqual(start);
  layer.pull();
  flow.parameters.forEach((p, i) => {
    expect(p.data.dataSync()).toEqual(layer.getWeights()[i]!.dataSync());
  });
});

it('a model with a flow is saved and loaded by tfjs, frozen parameters among it', async () => {
  const network = new Glow({ channels: 2, ...sizes() });
  using batch = twoMoons().sample(64, new RandomStream(5));
  initializeSync(network, batch);
  network.parameters[0]!.frozen = true;
  const layer = new InvNetLayer({ map: network, output: 'both', inputShape: [2] });
  const inputs = tfl.input({ shape: [2] });
  const [y, logdet] = layer.apply(inputs) as tfl.SymbolicTensor[];
  const model = tfl.model({ inputs, outputs: [y!, logdet!] });
  expect(model.trainableWeights.length).toBe(network.parameters.length - 1);
  const x = normals([3, 2], 6);
  const expected = (model.predict(x) as tf.Tensor[]).map((t) => t.dataSync());
  let saved: tf.io.ModelArtifacts = {};
  await model.save(
    tf.io.withSaveHandler(async (artifacts) => {
      saved = artifacts;
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
    }),
  );
  registerInvNetLayer({ modules: flowCatalogue });
  const loaded = await tfl.loadLayersModel(tf.io.fromMemory(saved));
  expect((loaded.predict(x) as tf.Tensor[]).map((t) => t.dataSync())).toEqual(expected);
  expect(loaded.trainableWeights.length).toBe(model.trainableWeights.length);
});

it('stands in a sequence, and leaves nothing behind', () => {
  const x = normals([4, 2], 3);
  const before = { ...hostMemory(), ...memory(), peakBytes: 0 };
  for (let i = 0; i < 2; i++) {
    const network = new Glow({ channels: 2, ...sizes() });
    const layer = new InvNetLayer({ map: network, inputShape: [2] });
    const model = tfl.sequential({ layers: [layer, tfl.layers.dense({ units: 1 })] });
    tf.tidy(() => layer.setWeights(layer.getWeights().map((w) => tf.mul(w, 1.5))));
    tf.dispose(model.predict(x));
    model.dispose();
    network.dispose();
  }
  expect({ ...hostMemory(), ...memory(), peakBytes: 0 }).toEqual(before);
});

describe('refuses', () => {
  it('what is no map, and inputs that do not fit', () => {
    const network = new Glow({ channels: 2, ...sizes() });
    expect(() => new InvNetLayer({ map: network, output: 'logProb' })).toThrow(/expected a Flow/);
    expect(() => new InvNetLayer({ map: network, output: 'x' as never })).toThrow(ValueError);
    expect(() => new InvNetLayer({ network } as never)).toThrow(ValueError);
    expect(() => new InvNetLayer({ map: network }).apply(tfl.input({ shape: [3] }))).toThrow(
      ShapeError,
    );
    expect(() =>
      new InvNetLayer({ map: new Glow({ channels: 2, ...sizes() }) }).apply(
        tfl.input({ shape: [2, null] }),
      ),
    ).toThrow(/all sizes/);
  });

  it('to save what tfjs would lose', () => {
    const conditioner = new BatchNorm({ channels: 1 });
    const layer = new InvNetLayer({ map: new GlowCoupling({ channels: 2, conditioner }) });
    expect(() => layer.getConfig()).toThrow(ConfigurationError);
  });

  it.each([undefined, '{oops', '{}', '[]', '{"config":{}}', '{"config":null,"frozen":[]}'])(
    'to load a layer whose map is %s',
    async (map) => {
      registerInvNetLayer({ modules: flowCatalogue });
      const layer = {
        class_name: 'InvNetLayer',
        config: { name: 'flow', batch_input_shape: [null, 2], output: 'y', ...(map && { map }) },
      };
      const modelTopology = {
        class_name: 'Sequential',
        config: { name: 'model', layers: [layer] },
      };
      const loading = tfl.loadLayersModel(tf.io.fromMemory({ modelTopology }));
      await expect(loading).rejects.toThrow(ConfigurationError);
    },
  );
});
