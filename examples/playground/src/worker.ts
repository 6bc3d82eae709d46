/** The worker: trains, and tells the page how it goes. The page never computes. */
import { DeviceLostError } from '@invnet/tensor';
import { readSafetensors } from '@invnet/train';
import { sampleDigits } from './digits.ts';
import { Model } from './model.ts';
import type { Config, MemoryUse, Reply, Request } from './protocol.ts';

const checkpointEvery = 50;
const progressMilliseconds = 150;
const viewMilliseconds = 900;

let model: Model | undefined;
let imported: Uint8Array | undefined;
let running: { stop: AbortController; done: Promise<void> } | undefined;

self.onmessage = ({ data }: MessageEvent<Request>) => {
  answer(data).catch((error) => {
    post({ type: 'error', message: error instanceof Error ? error.message : String(error) });
  });
};

async function answer(request: Request): Promise<void> {
  switch (request.type) {
    case 'start': {
      await pause();
      const { config, points, steps = Number.POSITIVE_INFINITY } = request;
      model ??= await open(config, points);
      post({ type: 'running', adapter: model.adapter });
      const stop = new AbortController();
      running = { stop, done: run(stop, steps) };
      return running.done;
    }
    case 'pause':
      return pause();
    case 'reset':
      await pause();
      model = undefined;
      imported = undefined;
      return;
    case 'export':
      await pause();
      if (!model) throw new RangeError('There is no model yet: start training first.');
      return post({ type: 'exported', bytes: await model.checkpoint() });
    case 'import': {
      await pause();
      const config = configOf(request.bytes);
      imported = request.bytes;
      model = undefined;
      return post({ type: 'imported', config });
    }
    case 'digits':
      await pause();
      return post({ type: 'digits', ...(await sampleDigits(request.bytes, request)) });
  }
}

async function open(config: Config, points: Float32Array): Promise<Model> {
  const made = await Model.create(config, points);
  if (imported) made.restore(imported);
  return made;
}

async function pause(): Promise<void> {
  running?.stop.abort();
  await running?.done.catch(() => {});
  running = undefined;
}

/** Trains until it is stopped; after a lost device from the last checkpoint on. */
async function run(stop: AbortController, steps: number): Promise<void> {
  let saved = await model!.checkpoint();
  for (;;) {
    try {
      await loop(stop, steps, (bytes) => {
        saved = bytes;
      });
      return;
    } catch (error) {
      if (!(error instanceof DeviceLostError)) throw error;
      const { config, points } = model!;
      model = await Model.create(config, points);
      model.restore(saved);
      post({ type: 'lost', step: model.step });
    }
  }
}

async function loop(
  stop: AbortController,
  steps: number,
  save: (bytes: Uint8Array<ArrayBuffer>) => void,
): Promise<void> {
  const current = model!;
  let losses: number[] = [];
  let [told, drawn] = [performance.now(), Number.NEGATIVE_INFINITY];
  let use: MemoryUse = { live: 0, peak: 0, stored: 0 };
  const tell = () => {
    post({ type: 'progress', step: current.step, losses, memory: use });
    losses = [];
    told = performance.now();
  };
  for await (const { loss, memory } of current.train(stop.signal)) {
    losses.push(loss);
    use = memory;
    if (current.step >= steps) stop.abort();
    if (current.step % checkpointEvery === 0) save(await current.checkpoint());
    if (performance.now() - told > progressMilliseconds) tell();
    if (performance.now() - drawn > viewMilliseconds) {
      const before = performance.now();
      post({ type: 'views', views: await current.views() });
      // At most a fifth of the time goes to drawing.
      drawn = performance.now() + 4 * (performance.now() - before);
    }
  }
  tell();
  post({ type: 'views', views: await current.views() });
  post({ type: 'paused', step: current.step });
}

function configOf(bytes: Uint8Array): Config {
  const { metadata } = readSafetensors(bytes, 'this file');
  if (metadata.playground === undefined) {
    throw new RangeError('This file is not a model of the playground.');
  }
  return JSON.parse(metadata.playground);
}

function post(reply: Reply): void {
  self.postMessage(reply);
}
