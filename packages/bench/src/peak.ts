/**
 * The multiply-add peak of the machine: WebAssembly loops that touch no memory, one on each thread,
 * with six rows by two vectors of accumulators in registers, as our products have.
 *
 * The module is written here byte by byte, since it holds one function of one loop.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/** Threads that run the loop when asked. */
export interface Peak {
  /** GFLOP/s of all threads together, in one run of some twenty milliseconds. */
  measure(): Promise<number>;
  close(): Promise<void>;
}

const ACCUMULATORS = 12;
const ITERATIONS = 4_000_000;
/** Four lanes, a multiplication and an addition. */
const FLOPS = ITERATIONS * ACCUMULATORS * 8;

/** Starts so many threads. */
export async function startPeak(threads: number): Promise<Peak> {
  const relaxed = WebAssembly.validate(peakModule(true));
  const bytes = peakModule(relaxed);
  const workers = Array.from(
    { length: threads },
    () => new Worker(program, { eval: true, workerData: bytes }),
  );
  const run = () =>
    Promise.all(
      workers.map(async (worker) => {
        worker.postMessage(ITERATIONS);
        // Rejects when the worker fails.
        const [milliseconds]: number[] = await once(worker, 'message');
        return milliseconds!;
      }),
    );
  // The first run compiles.
  await run();
  return {
    measure: async () => {
      const milliseconds = await run();
      return milliseconds.reduce((sum, ms) => sum + FLOPS / ms / 1e6, 0);
    },
    close: async () => {
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}

const program = `
const { parentPort, workerData } = require('node:worker_threads');
const { peak } = new WebAssembly.Instance(new WebAssembly.Module(workerData)).exports;
parentPort.on('message', (iterations) => {
  const start = performance.now();
  peak(iterations);
  parentPort.postMessage(performance.now() - start);
});
`;

/** peak(n): n times aᵢ ← x·y + aᵢ for all accumulators; returns a number that depends on all. */
function peakModule(relaxed: boolean): Uint8Array<ArrayBuffer> {
  const [I32, F32, V128, VOID] = [0x7f, 0x7d, 0x7b, 0x40];
  const simd = (...opcode: number[]) => [0xfd, ...opcode];
  const get = (local: number) => [0x20, local];
  const set = (local: number) => [0x21, local];
  const [x, y, first] = [1, 2, 3];
  const multiplyAdd = relaxed ? simd(0x85, 0x02) : [...simd(0xe6, 0x01), ...simd(0xe4, 0x01)];
  const accumulate = (local: number) =>
    relaxed
      ? [...get(x), ...get(y), ...get(local), ...multiplyAdd, ...set(local)]
      : [...get(local), ...get(x), ...get(y), ...multiplyAdd, ...set(local)];
  const locals = Array.from({ length: ACCUMULATORS }, (_, i) => first + i);
  const half = [0x43, 0, 0, 0, 0x3f];
  const body = [
    ...[1, 2 + ACCUMULATORS, V128],
    ...[...half, ...simd(0x13), ...set(x), ...half, ...simd(0x13), ...set(y)],
    ...[0x03, VOID],
    ...locals.flatMap(accumulate),
    // n ← n − 1; again unless it is 0
    ...[...get(0), 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b],
    ...get(first),
    ...locals.slice(1).flatMap((local) => [...get(local), ...simd(0xe4, 0x01)]),
    ...[...simd(0x1f, 0), 0x0b],
  ];
  const count = (n: number) => (n < 128 ? [n] : [(n & 127) | 128, n >> 7]);
  const sized = (bytes: readonly number[]) => [...count(bytes.length), ...bytes];
  const section = (id: number, bytes: readonly number[]) => [id, ...sized(bytes)];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 1, I32, 1, F32]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...sized([...new TextEncoder().encode('peak')]), 0, 0]),
    ...section(10, [1, ...sized(body)]),
  ]);
}
