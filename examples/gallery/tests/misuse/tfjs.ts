/** Right calls of `@invnet/tfjs` and its layers. */
import { Flow, flowCatalogue } from '@invnet/flows';
import { AffineLayer, ConditionalGlowCoupling, zeroGrad } from '@invnet/layers';
import { RandomStream } from '@invnet/tensor';
import * as tfjs from '@invnet/tfjs';
import * as layers from '@invnet/tfjs/layers';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { type Calls, call, make, on } from './call.ts';

/** Calls of all exports of tfjs. */
export async function tfjsCalls(): Promise<Calls> {
  await tf.setBackend('cpu');
  const random = new RandomStream(7);
  const sizes = { channels: 2, contextChannels: 1, hidden: 3, ndims: 0, random } as const;
  const flow = new Flow({ network: new ConditionalGlowCoupling(sizes) });
  const host = tfjs.toTfjs(flow);
  const [state, context] = [tf.zeros([2, 2]), tf.zeros([2, 1])];
  const w = tf.variable(tf.ones([2]));
  const apply = (x: tf.Tensor) => tf.mul(x, w);
  const parts = { apply, variables: { w }, outputShape: () => undefined, usesContext: false };
  const block = tfjs.fromTfjs(parts);
  const x = random.normal([2, 2]);
  const undo = () => zeroGrad(block.parameters);
  const other = new Flow({ network: new AffineLayer({ channels: 2 }) });
  const once = function toTfjs(map: Flow) {
    tfjs.toTfjs(map).dispose();
  };
  return {
    toTfjs: [
      call(once, [other]),
      on(host, 'forward', [state, context]),
      on(host, 'inverse', [state, context]),
      on(host, 'logProb', [state, context]),
    ],
    fromTfjs: [
      call(tfjs.fromTfjs, [parts]),
      on(block, 'forward', [x], { undo }),
      on(block, 'jvp', [x, { x }]),
      on(block, 'outputShape', [[2, 2]]),
    ],
    TfjsBlock: [make(tfjs.TfjsBlock, [{ model: parts }])],
  };
}

/** Calls of all exports of its layers. */
export async function tfjsLayerCalls(): Promise<Calls> {
  await tf.setBackend('cpu');
  const map = new Flow({ network: new AffineLayer({ channels: 2 }) });
  // tfjs disposes only what was built.
  const once = function InvNetLayer(options: layers.InvNetLayerOptions) {
    new layers.InvNetLayer(options);
  };
  return {
    InvNetLayer: [call(once, [{ map, output: 'both' }])],
    registerInvNetLayer: [
      call(layers.registerInvNetLayer, [{ modules: flowCatalogue, named: { f: () => ({}) } }]),
    ],
  };
}
