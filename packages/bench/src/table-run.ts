/**
 * What `bench table` starts in a process of its own, whose peak memory is then that of reading and training: goes over
 * the rows of an NPY file once, and fits a flow to them for an epoch.
 */
import process from 'node:process';
import { npyRows } from '@invnet/datasets/npy';
import { Flow } from '@invnet/flows';
import { Glow } from '@invnet/networks';
import { RandomStream, setBackend } from '@invnet/tensor';
import { fit } from '@invnet/train';

/** What the process is asked. */
export interface TableRunOptions {
  readonly path: string;
  readonly rows: number;
  readonly columns: number;
  readonly threads: number;
}

/** What it tells. */
export interface TableRun {
  /** Rows a second, shuffled, without training. */
  readonly readRate: number;
  /** Rows a second of the fit, which goes over them once before it trains. */
  readonly fitRate: number;
  /** Bytes of the process at most, all in all. */
  readonly peak: number;
  /** Nats a row, on rows that were not trained on. */
  readonly loss: number;
}

const { path, rows, columns, threads }: TableRunOptions = JSON.parse(process.argv[2]!);
await setBackend('wasm', { threads });

const last = rows - Math.ceil(rows / 100);
const training = await npyRows({ x: path, range: [0, last] });
const validation = await npyRows({ x: path, range: [last, rows] });

const seconds = async (task: () => Promise<unknown>) => {
  const start = performance.now();
  await task();
  return (performance.now() - start) / 1000;
};

const reading = await seconds(async () => {
  let count = 0;
  for await (const { x } of training.batches({ batchSize: 4096, seed: 1, epoch: 0 })) {
    count += x.shape[0]!;
  }
  if (count !== training.count) throw new Error(`read ${count} rows of ${training.count}`);
});

const sizes = { channels: columns, ndims: 0, scales: 1, steps: 4, hidden: 32 };
const flow = new Flow({ network: new Glow({ ...sizes, random: new RandomStream(1) }) });
let loss = Number.NaN;
const fitting = await seconds(async () => {
  const { history } = await fit(
    flow,
    { training, validation },
    { epochs: 1, batchSize: 4096 },
  ).result();
  loss = history.at(-1)?.validationLoss ?? Number.NaN;
});

const report: TableRun = {
  readRate: last / reading,
  fitRate: last / fitting,
  // Kilobytes, of the process since it started.
  peak: process.resourceUsage().maxRSS * 1024,
  loss,
};
console.log(JSON.stringify(report));
// Threads of the backend would keep the process waiting.
process.stdout.write('', () => process.exit());
