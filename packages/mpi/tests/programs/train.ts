/**
 * Small trainings, one after the other, as one of several ranks or alone with all samples: a network whose layers take
 * statistics of batches (ActNorm, BatchNorm), over data that follow from the step. Prints a line of JSON for each step of
 * rank 0 and, of each rank, its process and how it ended: with a digest of all numbers, or an error. What is asked of it is JSON.
 */
import { createHash } from 'node:crypto';
import { existsSync, writeSync } from 'node:fs';
import { Flow, negativeLogLikelihood } from '@invnet/flows';
import { ActNorm, Conv1x1, GlowCoupling, namedBuffers, ResNet, Sequential } from '@invnet/layers';
import { openMpi } from '@invnet/mpi';
import { InvNetError, memory, RandomStream, setBackend, type Tensor, tensor } from '@invnet/tensor';
import {
  Adam,
  constant,
  loadSharedCheckpoint,
  saveSharedCheckpoint,
  shareOf,
  train,
} from '@invnet/train';

/** A training. */
export interface Asked {
  readonly steps?: number;
  readonly samples?: number;
  readonly threads?: number;
  /** What this rank, and it alone, does otherwise: after steps of these numbers, or from the start. */
  readonly rank?: number;
  readonly there?: {
    readonly throws?: number;
    readonly exits?: number;
    readonly kills?: number;
    readonly aborts?: number;
    readonly nan?: number;
    readonly seed?: number;
    readonly hidden?: number;
    readonly samples?: number;
    readonly steps?: number;
    readonly beta1?: number;
  };
  /** Saved after each step; goes on from what is there. */
  readonly checkpoint?: string;
  /** Milliseconds after each step. */
  readonly pause?: number;
}

const communicator = openMpi();
const { rank } = communicator;
const shape = [3, 6, 5];
const size = shape.reduce((a, b) => a * b);

print({ process: process.pid, of: rank });
const list: readonly Asked[] = JSON.parse(process.argv[2] ?? '[{}]');
for (const asked of list) {
  await setBackend('wasm', { threads: asked.threads ?? 1 });
  const there = asked.rank === rank ? (asked.there ?? {}) : {};
  try {
    print({ rank, ...(await run(asked, there)) });
  } catch (error) {
    if (!(error instanceof InvNetError)) throw error;
    print({ rank, error: error.message });
  }
}
communicator.close();

async function run(asked: Asked, there: NonNullable<Asked['there']>) {
  const { checkpoint, pause, samples = 12 } = asked;
  const random = new RandomStream(there.seed ?? 3);
  const hidden = there.hidden ?? 6;
  const layers = [0, 1].flatMap(() => [
    new ActNorm({ channels: 3 }),
    new Conv1x1({ channels: 3, random }),
    new GlowCoupling({
      channels: 3,
      conditioner: new ResNet({ inChannels: 1, hidden, outChannels: 4, blocks: 1, random }),
    }),
  ]);
  const flow = new Flow({ network: new Sequential(layers) });
  const optimizer = new Adam({ beta1: there.beta1 ?? 0.9 });
  const { parameters } = flow;
  let step = 0;
  if (checkpoint && communicator.gather(existsSync(checkpoint))[0]) {
    const saved = await loadSharedCheckpoint(communicator, checkpoint, { parameters, optimizer });
    step = Number(saved.step);
  }
  const { first, count } = shareOf(communicator, samples);

  function* batches(): Generator<Tensor> {
    for (let at = step; at < (there.steps ?? asked.steps ?? 5); at++) {
      const all = new RandomStream(7, at * 2 ** 20).normalArray(samples * size);
      const own = all.map((v, i) => 3 * v + (i % 4)).subarray(first * size);
      if (there.nan === at) own[1] = Number.NaN;
      const given = there.samples ?? count;
      yield tensor(own.subarray(0, given * size), [given, ...shape]);
    }
  }

  const controller = new AbortController();
  const liveBytes: number[] = [];
  for await (const metrics of train({
    parameters,
    optimizer,
    loss: (x: Tensor) => negativeLogLikelihood(flow, x),
    batches: batches(),
    schedule: constant(1e-2),
    clipNorm: 50,
    startStep: step,
    signal: controller.signal,
    disposeBatch: (x) => x.dispose(),
    communicator,
  })) {
    step = metrics.step;
    liveBytes.push(memory().liveBytes);
    if (rank === 0) print({ step, loss: metrics.loss, gradientNorm: metrics.gradientNorm });
    if (there.throws === step) throw new Error('a mistake of this rank');
    if (there.exits === step) process.exit(0);
    if (there.kills === step) process.kill(process.pid, 'SIGKILL');
    if (there.aborts === step) controller.abort();
    if (checkpoint) {
      const metadata = { step: String(step) };
      await saveSharedCheckpoint(communicator, checkpoint, { parameters, optimizer, metadata });
    }
    if (pause) await new Promise((done) => setTimeout(done, pause));
  }
  const bits = createHash('sha256');
  for (const p of parameters) bits.update(await p.data.data());
  for (const [, buffer] of namedBuffers(flow)) bits.update(await buffer.read());
  const grows = liveBytes.some((bytes) => bytes !== liveBytes[0]);
  return { last: step, bits: bits.digest('hex'), grows };
}

/** At once and whole, whatever happens next. */
function print(line: object): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}
