/**
 * A fit as one of several ranks, or alone: stopped in the midst of an epoch by one rank's signal, and resumed from its
 * checkpoint. Prints a line of JSON for each rank: its losses, and a digest of all numbers.
 */
import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { Flow } from '@invnet/flows';
import { openMpi } from '@invnet/mpi';
import { maskedAutoregressiveFlow } from '@invnet/networks';
import { memory, RandomStream, setBackend } from '@invnet/tensor';
import { fit, modelBytes } from '@invnet/train';

const [checkpoint] = process.argv.slice(2);
const communicator = openMpi();
const { rank } = communicator;
await setBackend('wasm', { threads: 1 });

const count = 100;
const data = new RandomStream(1).normalArray(2 * count, 3);
const rows = { x: { shape: [count, 2], data } };
const sizes = { channels: 2, hidden: [8], transforms: 2 };
const options = {
  // 90 rows to train on, of which the last batch has 10.
  ...{ epochs: 3, batchSize: 16, seed: 2, noise: 0.1, average: 0.5, validation: 0.1, communicator },
  ...(checkpoint && { checkpoint, resume: true }),
};

async function run(stop: number): Promise<object> {
  const network = maskedAutoregressiveFlow({ ...sizes, random: new RandomStream(3) });
  const { liveBytes } = memory();
  const controller = new AbortController();
  const fitting = fit(new Flow({ network }), rows, {
    ...options,
    report: 1,
    signal: controller.signal,
  });
  for await (const { step } of fitting) if (step === stop && rank === 0) controller.abort();
  const { flow, history, stopped } = await fitting.result();
  const bits = createHash('sha256')
    .update(await modelBytes(flow))
    .digest('hex');
  // The standardization's two buffers of two numbers.
  return { rank, history, stopped, bits, left: memory().liveBytes - liveBytes - 16 };
}

if (checkpoint) print(await run(9));
print(await run(Number.POSITIVE_INFINITY));
communicator.close();

function print(line: object): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}
