/** The worker: holds one model, trains it, and tells the page how it goes. The page never computes. */
import { DeviceLostError } from '@invnet/tensor';
import { adapter, useBackend, usedBackend } from './computing.ts';
import { Model } from './model.ts';
import { networks } from './networks.ts';
import type { BackendName, Config, MemoryUse, Reply, Request } from './protocol.ts';
import { sampleImages } from './sample-images.ts';
import type { Training } from './training.ts';
import { viewsOf } from './views.ts';

type Start = Extract<Request, { type: 'start' }>;

const checkpointEvery = 50;
const progressMilliseconds = 150;
const viewMilliseconds = 900;

let model: Model | undefined;
let seed = 1;
let running: { readonly stop: AbortController; readonly done: Promise<void> } | undefined;

// One request after another; training goes on between them.
let last = Promise.resolve();
self.onmessage = ({ data }: MessageEvent<Request>) => {
  last = last.then(() => answer(data)).catch(report);
};
const labels = Object.entries(networks).map(([name, { label }]) => [name, label]);
post({ type: 'ready', networks: Object.fromEntries(labels) });

async function answer(request: Request): Promise<void> {
  switch (request.type) {
    case 'start':
      await pause();
      return start(request);
    case 'pause':
      return pause();
    case 'reset':
      await pause();
      model?.dispose();
      model = undefined;
      return post({ type: 'reset' });
    case 'save':
      await pause();
      return post({ type: 'saved', bytes: await present().file() });
    case 'open':
      return open(request);
    case 'sample': {
      await moveTo(request.backend);
      const { flow } = present();
      if (!flow) throw new RangeError('There are no samples of this model.');
      return post({ type: 'images', images: await sampleImages(flow, request.shape, request) });
    }
  }
}

async function start(request: Start): Promise<void> {
  const { config, points } = request;
  seed = config.seed;
  if (model) await moveTo(config.backend);
  else await make(config);
  trainingOf(present()).useData(config, points);
  post({ type: 'running' });
  const stop = new AbortController();
  const done = run(stop, request)
    .finally(() => {
      running = undefined;
    })
    .catch(report);
  running = { stop, done };
}

async function make(config: Config): Promise<void> {
  await useBackend(config.backend);
  model = Model.make(config);
  tell();
}

/** Opens a file; when that fails all is as before, and a training that is under way goes on. */
async function open({ bytes, file, config }: Extract<Request, { type: 'open' }>): Promise<void> {
  // Where there is a model, the new one comes beside it, and moves when it is used.
  if (!model) await useBackend(config.backend);
  const opened = await Model.open(bytes, file);
  await pause();
  model?.dispose();
  model = opened;
  seed = config.seed;
  tell(file);
  if (opened.training) await show();
}

/** Moves the model to another backend, unless it is there. */
async function moveTo(backend: BackendName): Promise<void> {
  if (backend === usedBackend()) return;
  const before = present();
  const file = await before.file();
  await useBackend(backend);
  model = await before.reopened(file);
  before.dispose();
  tell();
}

async function pause(): Promise<void> {
  running?.stop.abort();
  await running?.done;
}

/** Trains until it is stopped; after a lost device from the last checkpoint on. */
async function run(stop: AbortController, { config, points, steps }: Start): Promise<void> {
  let saved = await present().file();
  for (;;) {
    try {
      await loop(stop, steps, (file) => {
        saved = file;
      });
      return;
    } catch (error) {
      if (!(error instanceof DeviceLostError)) throw error;
      await useBackend(config.backend);
      model = await present().reopened(saved);
      const training = trainingOf(model);
      training.useData(config, points);
      post({ type: 'lost', step: training.step });
    }
  }
}

async function loop(
  stop: AbortController,
  steps = Number.POSITIVE_INFINITY,
  save: (file: Uint8Array<ArrayBuffer>) => void,
): Promise<void> {
  const training = trainingOf(present());
  let losses: number[] = [];
  let [told, drawn] = [performance.now(), Number.NEGATIVE_INFINITY];
  let use: MemoryUse = { live: 0, peak: 0, stored: undefined };
  const progress = () => {
    post({ type: 'progress', step: training.step, losses, memory: use });
    losses = [];
    told = performance.now();
  };
  for await (const { loss, memory } of training.run(stop.signal)) {
    losses.push(loss);
    use = memory;
    if (training.step >= steps) stop.abort();
    if (training.step % checkpointEvery === 0) save(await present().file());
    if (performance.now() - told > progressMilliseconds) progress();
    if (performance.now() - drawn > viewMilliseconds) {
      const before = performance.now();
      await show();
      // At most a fifth of the time goes to drawing.
      drawn = performance.now() + 4 * (performance.now() - before);
    }
  }
  progress();
  await show();
  post({ type: 'paused', step: training.step });
}

function present(): Model {
  if (!model) throw new RangeError('There is no model yet: start training, or open a file.');
  return model;
}

function trainingOf({ training }: Model): Training {
  if (!training) throw new RangeError('This page trains models of points of the plane alone.');
  return training;
}

/** Sends what is drawn of a model of the plane. */
async function show(): Promise<void> {
  const { flow, input, training } = present();
  if (!flow || !input) return;
  post({ type: 'views', views: await viewsOf(flow, input, training?.data?.points, seed) });
}

function tell(file?: string): void {
  const { description } = present();
  post({ type: 'model', description, adapter: adapter(), ...(file !== undefined && { file }) });
}

function report(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  post({ type: 'error', message, running: running !== undefined });
}

function post(reply: Reply): void {
  self.postMessage(reply);
}
