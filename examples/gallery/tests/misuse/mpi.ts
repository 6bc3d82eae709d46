/** Right calls of `@invnet/mpi`, on one rank. */

import * as mpi from '@invnet/mpi';
import { Glow } from '@invnet/networks';
import { getBackend, RandomStream, setBackend, WasmBackend } from '@invnet/tensor';
import { SingleProcess } from '@invnet/train';
import { type Calls, call, on } from './call.ts';

/** Calls of all exports. A communicator is made by `openMpi`, under mpirun. */
export async function mpiCalls(): Promise<Calls> {
  const before = getBackend();
  const restore = { undo: () => void setBackend(before) };
  const net = new Glow({ channels: 1, hidden: 2, scales: 1, steps: 1 });
  const alone = new SingleProcess();
  const cut = { size: 4, axis: 2, ndims: 2, multiple: 2, local: ['Octave'] };
  // The current backend is the test's, not to be taken over.
  const splitBackend: typeof mpi.splitBackend = (communicator, options) =>
    mpi.splitBackend(communicator, { ...options, backend: new WasmBackend() });
  const split = await splitBackend(alone, cut);
  const shape = [1, 1, 4, 4];
  const numbers = Float32Array.from(new RandomStream(1).normalArray(16));
  const slab = split.scatter(shape, numbers);
  await setBackend(before);
  return {
    MpiCommunicator: [],
    openMpi: [call(mpi.openMpi, [{}])],
    requireLocal: [call(mpi.requireLocal, [net, { local: ['Octave'] }])],
    splitBackend: [
      call(splitBackend, [alone, cut], restore),
      on(split, 'slabShape', [shape]),
      on(split, 'scatter', [shape, numbers]),
      on(split, 'gather', [slab]),
      on(split, 'sum', [slab]),
      on(split, 'random', [7, shape]),
      on(split.random(7, shape), 'normal', [shape, 0.5]),
      on(split.random(7, shape), 'uniform', [shape, 0, 1]),
      on(split.ranks, 'average', [slab], { may: ['nan'] }),
    ],
  };
}
