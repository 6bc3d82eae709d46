/** The worker of the tab of brain scans: simulates a scan, and draws samples of what it was of, a few at a time. */
import { setBackend } from '@invnet/tensor';
import type { BrainReply, BrainRequest } from './protocol.ts';
import { Sampler } from './sampler.ts';
import { loadShipped, type Shipped } from './shipped.ts';
import { disposeSimulation, type Simulation, simulate } from './simulation.ts';

/** Samples between two looks at what the page wants. */
const atOnce = 4;

let shipped: Shipped | undefined;
let current:
  | { readonly simulation: Simulation; readonly sampler: Sampler; readonly wanted: number }
  | undefined;
let paused = false;
let queued = false;

// One request after another; samples are drawn between them.
let last = Promise.resolve();
self.onmessage = ({ data }: MessageEvent<BrainRequest>) => {
  last = last.then(() => answer(data)).catch(report);
};

async function answer(request: BrainRequest): Promise<void> {
  paused = request.type === 'pause';
  if (request.type === 'scan') await scan(request);
  if (request.type === 'pause') post({ type: 'paused' });
  else sampleSoon();
}

async function scan(request: Extract<BrainRequest, { type: 'scan' }>): Promise<void> {
  shipped ??= await begin();
  if (current) disposeSimulation(current.simulation);
  current = undefined;
  const simulation = await simulate(shipped, request);
  const sampler = new Sampler(shipped, simulation, request.seed);
  current = { simulation, sampler, wanted: request.samples };
  post({ type: 'scanned', scan: simulation.scan });
}

async function begin(): Promise<Shipped> {
  await setBackend('wasm');
  return loadShipped();
}

/** Queues a few samples behind the requests that have come, unless there are some in the queue. */
function sampleSoon(): void {
  if (queued) return;
  queued = true;
  setTimeout(() => {
    last = last.then(sample).catch(report);
  });
}

async function sample(): Promise<void> {
  queued = false;
  if (paused || !current) return;
  const { sampler, wanted } = current;
  if (sampler.count >= wanted) return;
  const count = Math.min(atOnce, wanted - sampler.count);
  post({ type: 'samples', posterior: await sampler.draw(count) });
  sampleSoon();
}

function report(error: unknown): void {
  post({ type: 'error', message: error instanceof Error ? error.message : String(error) });
}

function post(reply: BrainReply): void {
  self.postMessage(reply);
}
