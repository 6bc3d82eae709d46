/**
 * Bytes that each rank takes at most for a training step of a Glow on a cube, in slabs, and sends. Rank 0 prints
 * them; `mpirun -n 4 node split-memory.ts 64` is of 64³ voxels.
 */
import { argv } from 'node:process';
import { Flow, negativeLogLikelihood } from '@invnet/flows';
import { Glow } from '@invnet/networks';
import { backendInfo, memory, resetPeakMemory, setBackend } from '@invnet/tensor';
import { openMpi, splitBackend } from '../../src/index.ts';

const communicator = openMpi();
const size = Number(argv[2]);
await setBackend('wasm');
using split = await splitBackend(communicator, { size, ndims: 3, multiple: 4 });
const flow = new Flow({ network: new Glow({ channels: 1, hidden: 32, ndims: 3, steps: 2 }) });
const shape = split.slabShape([1, 1, size, size, size]);
const x = split.random(1, shape).normal(shape);
for (const p of flow.parameters) p.changed(); // as if they had been trained: nothing awaits data
const { liveBytes } = memory();
resetPeakMemory();
const sentBytes = () => Number(backendInfo().details.sentBytes);
const sent = sentBytes();
negativeLogLikelihood(flow, x).dispose();
const own = {
  peak: memory().peakBytes,
  before: liveBytes,
  slab: 4 * x.size,
  sent: sentBytes() - sent,
};
const all = communicator.gather(own);
if (communicator.rank === 0) console.log(JSON.stringify(all));
communicator.close();
