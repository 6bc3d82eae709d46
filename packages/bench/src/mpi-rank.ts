/**
 * One rank of what `bench mpi` starts: trains the network of glow-mnist on images of its own, as many on each rank, and
 * rank 0 prints how long steps took, and how much of them was spent in calls of the communicator.
 */
import { Flow, negativeLogLikelihood } from '@invnet/flows';
import { countParameters, Logit, sigmoid } from '@invnet/layers';
import { openMpi } from '@invnet/mpi';
import { Glow, Sequential } from '@invnet/networks';
import { backendInfo, RandomStream, setBackend, type Tensor } from '@invnet/tensor';
import { Adam, type Communicator, constant, DataParallel, train } from '@invnet/train';
import '@invnet/native';

/** What a rank is asked. */
export interface RankOptions {
  readonly steps: number;
  readonly warmup: number;
  readonly batch: number;
  readonly backend: 'native' | 'wasm';
}

/** What rank 0 tells. */
export interface RankReport {
  readonly backend: string;
  readonly library: string;
  readonly parameters: number;
  /** Milliseconds of each step. */
  readonly times: readonly number[];
  /** Milliseconds in the communicator in each step, waiting for the others included. */
  readonly communication: readonly number[];
}

const { steps, warmup, batch, backend }: RankOptions = JSON.parse(process.argv[2]!);
const communicator = openMpi();
await setBackend(backend, { threads: 1 });

const random = new RandomStream(1);
const scaleFunction = sigmoid({ low: 0.1, high: 1.9 });
const glow = new Glow({ channels: 1, hidden: 32, scales: 2, steps: 8, scaleFunction, random });
const flow = new Flow({ network: new Sequential({ logit: new Logit(), glow }) });

let inCalls = 0;
function timed<A extends readonly unknown[], R>(call: (...args: A) => R): (...args: A) => R {
  return (...args) => {
    const start = performance.now();
    try {
      return call(...args);
    } finally {
      inCalls += performance.now() - start;
    }
  };
}
const clocked: Communicator = {
  rank: communicator.rank,
  size: communicator.size,
  sum: timed((numbers) => communicator.sum(numbers)),
  startSum: timed((numbers) => {
    const pending = communicator.startSum(numbers);
    return { test: timed(() => pending.test()), wait: timed(() => pending.wait()) };
  }),
  exchange: (messages) => communicator.exchange(messages),
  broadcast: (bytes) => communicator.broadcast(bytes),
  gather: (value) => communicator.gather(value),
  barrier: () => communicator.barrier(),
  share: (setup) => DataParallel.start(clocked, setup),
  abort: (reason) => communicator.abort(reason),
  close: () => communicator.close(),
};

const own = new RandomStream(2 + communicator.rank);
function* batches(): Generator<Tensor> {
  for (let i = 0; i < warmup + steps; i++) yield own.uniform([batch, 1, 28, 28], 0.05, 0.95);
}

const times: number[] = [];
const communication: number[] = [];
let last = performance.now();
for await (const { step } of train({
  parameters: flow.parameters,
  optimizer: new Adam(),
  loss: (x: Tensor) => negativeLogLikelihood(flow, x),
  batches: batches(),
  schedule: constant(1e-4),
  clipNorm: 100,
  disposeBatch: (x) => x.dispose(),
  communicator: communicator.size > 1 ? clocked : undefined,
})) {
  const now = performance.now();
  if (step > warmup) {
    times.push(now - last);
    communication.push(inCalls);
  }
  inCalls = 0;
  last = performance.now();
}
const report: RankReport = {
  backend: backendInfo().name,
  library: 'library' in communicator ? String(communicator.library) : 'none',
  parameters: countParameters(flow),
  times,
  communication,
};
if (communicator.rank === 0) console.log(JSON.stringify(report));
communicator.close();
