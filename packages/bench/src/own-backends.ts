/**
 * Our backends that run in Node.js and that suites set beside each other. One that vectors or a package
 * are missing for is named with the reason. A backend that comes to the list takes part everywhere.
 */
import { findNativeKernels } from '@invnet/native';
import { type Backend, requireOneOf, WasmBackend } from '@invnet/tensor';

/** How a backend is made on so many threads. @throws Error with the reason where it cannot be had. */
type Make = (threads: number) => Promise<Backend>;

/** From the one that is everywhere to the fastest. */
const makers: Readonly<Record<string, Make>> = {
  wasm: (threads) => WasmBackend.create({ threads }),
  'wasm, wide': async (threads) => {
    const backend = await WasmBackend.create({ threads, wide: true });
    if (backend.info().details.wide) return backend;
    backend.dispose();
    throw new Error('there are no vectors of 256 bits here, or no flag to ask for them.');
  },
  native: (threads) => WasmBackend.create({ threads, native: findNativeKernels() }),
};

/** The names, slowest first. */
export const ownBackends: readonly string[] = Object.keys(makers);

/** Makes a backend. Wide vectors hold for the process, so each backend is made in one of its own. */
export function makeOwnBackend(name: string, threads: number): Promise<Backend> {
  requireOneOf('bench', 'backend', name, ownBackends);
  return makers[name]!(threads);
}

/** A number of threads in words. */
export function threadsInWords(threads: number): string {
  return `${threads} thread${threads === 1 ? '' : 's'}`;
}

/** A backend and its threads in words. */
export function labelOf(backend: string, threads: number): string {
  return `${backend}, ${threadsInWords(threads)}`;
}
