/**
 * A table in units of its own, fitted in one call and told to stop in the midst of it: the fit goes on from its checkpoint,
 * and ends with the very bits of one that was never stopped.
 */
import { mkdir } from 'node:fs/promises';
import { Flow } from '@invnet/flows';
import { maskedAutoregressiveFlow } from '@invnet/networks';
import { RandomStream, setBackend } from '@invnet/tensor';
import { cosine, type FitOptions, fit, modelBytes } from '@invnet/train';

await setBackend('wasm');

// Pressure in pascals, and a temperature in kelvins that follows it.
const count = 1000;
const random = new RandomStream(1);
const [a, b] = [random.normalArray(count), random.normalArray(count)];
const data = new Float64Array(2 * count);
for (let n = 0; n < count; n++) {
  data[2 * n] = 101_325 + 800 * a[n]!;
  data[2 * n + 1] = 290 + 3 * Math.tanh(2 * a[n]!) + 0.5 * b[n]!;
}
const rows = { x: { shape: [count, 2], data } };

const flow = () => {
  const sizes = { channels: 2, hidden: [32], transforms: 3, random: new RandomStream(2) };
  return new Flow({ network: maskedAutoregressiveFlow(sizes) });
};
const options: FitOptions = {
  epochs: 12,
  batchSize: 64,
  schedule: cosine({ rate: 1e-2 }),
  average: 0.9,
};

const whole = await fit(flow(), rows, options).result();
for (const { epoch, trainingLoss, validationLoss } of whole.history) {
  if (epoch % 4 !== 0) continue;
  console.log(
    `epoch ${epoch}: ${trainingLoss.toFixed(3)}, validation ${validationLoss!.toFixed(3)} nats`,
  );
}

const checkpoint = 'out/gallery/fitting.safetensors';
await mkdir('out/gallery', { recursive: true });
const controller = new AbortController();
const { signal } = controller;
const stopped = fit(flow(), rows, { ...options, checkpoint, signal, report: 1 });
for await (const { step } of stopped) if (step === 50) controller.abort();
console.log(`stopped after step 50: ${(await stopped.result()).stopped}`);

const resumed = await fit(flow(), rows, { ...options, checkpoint, resume: true }).result();
const [one, other] = [await modelBytes(whole.flow), await modelBytes(resumed.flow)];
console.log(`the same bits: ${one.every((byte, i) => byte === other[i])}`);

const samples = await resumed.flow.sample({ shape: [4, 2], seed: 3 }).data();
console.log(
  'samples, in pascals and kelvins:',
  Array.from(samples, (v) => Number(v.toFixed(1))),
);
