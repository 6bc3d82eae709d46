/**
 * The multiply-add peak of the machine: WebAssembly loops that touch no memory, one on each thread, with
 * twelve vectors of accumulators in registers, as our products have.
 *
 * Vectors of 256 bits are two of 128 that lie side by side, which the engine joins where it was asked to (see
 * `wide` of the wasm backend); a process in which it was not measures no more than spilled registers by them.
 * Vectors of 512 bits, which no engine makes of ours, are those of the native kernels.
 *
 * The module is written here byte by byte, since it holds one function of one loop.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { findNativeKernels } from '@invnet/native';
import type { Operation } from './peers/peer.ts';

/** The vectors whose peak is measured, and the backend of ours that asks for them. */
export const vectors: readonly { readonly bits: Bits; readonly backend: string }[] = [
  { bits: 128, backend: 'wasm' },
  { bits: 256, backend: 'wasm, wide' },
  { bits: 512, backend: 'native' },
];

/** Bits of a vector. */
export type Bits = 128 | 256 | 512;

/** Threads that run the loop when asked. */
export interface Peak {
  /** GFLOP/s of all threads together, in one run of some twenty milliseconds. */
  measure(): Promise<number>;
  close(): Promise<void>;
}

const ACCUMULATORS = 12;
const ITERATIONS = 4_000_000;

/** Of one run on one thread: a multiplication and an addition in each lane. */
export function peakFlops(bits: number): number {
  return ITERATIONS * ACCUMULATORS * 2 * (bits / 32);
}

/** The peak as an operation, whose time is that of `peakFlops` on each thread. */
export async function peakOperation(threads: number, bits: Bits): Promise<Operation> {
  const peak = await startPeak(threads, bits);
  const time = async () => (threads * peakFlops(bits)) / (await peak.measure()) / 1e6;
  return {
    name: peakName(bits),
    run: async () => {
      await time();
    },
    time,
  };
}

/** How that operation is called. */
export function peakName(bits: number): string {
  return `multiply-add peak, ${bits} bits`;
}

/** Starts so many threads. @throws BackendError for 512 bits, where there are no native kernels with such vectors. */
export async function startPeak(threads: number, bits: Bits = 128): Promise<Peak> {
  const workerData = bits === 512 ? findNativeKernels('avx512').path : wasmPeak(bits);
  const workers = Array.from(
    { length: threads },
    () => new Worker(program, { eval: true, workerData }),
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
      return milliseconds.reduce((sum, ms) => sum + peakFlops(bits) / ms / 1e6, 0);
    },
    close: async () => {
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}

const program = `
const { parentPort, workerData } = require('node:worker_threads');
const native = (path) => require(path).multiplyAdd.bind(undefined, 'avx512');
const wasm = (bytes) => new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports.peak;
const peak = typeof workerData === 'string' ? native(workerData) : wasm(workerData);
parentPort.on('message', (iterations) => {
  const start = performance.now();
  peak(iterations);
  parentPort.postMessage(performance.now() - start);
});
`;

/** The module, with fused multiply-adds where the engine has them. */
function wasmPeak(bits: 128 | 256): Uint8Array<ArrayBuffer> {
  const relaxed = peakModule(true, bits);
  return WebAssembly.validate(relaxed) ? relaxed : peakModule(false, bits);
}

/**
 * peak(n): n times aᵢ ← x·y + aᵢ for all accumulators. Operands come from memory, and accumulators go there
 * in the end: by addresses that follow each other the engine sees which halves make a vector.
 */
function peakModule(relaxed: boolean, bits: 128 | 256): Uint8Array<ArrayBuffer> {
  const [I32, V128, VOID] = [0x7f, 0x7b, 0x40];
  const halves = bits / 128;
  const simd = (...opcode: number[]) => [0xfd, ...opcode];
  const get = (local: number) => [0x20, local];
  const set = (local: number) => [0x21, local];
  const zero = [0x41, 0];
  const address = (local: number) => [4, ...count(16 * (local - 1))];
  const load = (local: number) => [...zero, ...simd(0, ...address(local)), ...set(local)];
  const store = (local: number) => [...zero, ...get(local), ...simd(0x0b, ...address(local))];
  const range = (from: number, length: number) => Array.from({ length }, (_, i) => from + i);
  const [x, y] = [range(1, halves), range(1 + halves, halves)] as const;
  const accumulators = range(1 + 2 * halves, ACCUMULATORS * halves);
  const multiplyAdd = relaxed ? simd(0x85, 0x02) : [...simd(0xe6, 0x01), ...simd(0xe4, 0x01)];
  const accumulate = (local: number, i: number) => {
    const factors = [...get(x[i % halves]!), ...get(y[i % halves]!)];
    return relaxed
      ? [...factors, ...get(local), ...multiplyAdd, ...set(local)]
      : [...get(local), ...factors, ...multiplyAdd, ...set(local)];
  };
  const body = [
    ...[1, 2 * halves + accumulators.length, V128],
    ...[...x, ...y, ...accumulators].flatMap(load),
    ...[0x03, VOID],
    ...accumulators.flatMap(accumulate),
    // n ← n − 1; again unless it is 0
    ...[...get(0), 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b],
    ...[...accumulators.flatMap(store), 0x0b],
  ];
  const sized = (bytes: readonly number[]) => [...count(bytes.length), ...bytes];
  const section = (id: number, bytes: readonly number[]) => [id, ...sized(bytes)];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 1, I32, 0]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, 1]),
    ...section(7, [1, ...sized([...new TextEncoder().encode('peak')]), 0, 0]),
    ...section(10, [1, ...sized(body)]),
  ]);
}

/** A number below 2¹⁴ as the format has it. */
function count(n: number): number[] {
  return n < 128 ? [n] : [(n & 127) | 128, n >> 7];
}
