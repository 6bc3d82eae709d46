/**
 * Kernels for the processor itself, which run on the memory of the WebAssembly ones in their place. They are an
 * addon for Node.js, made from the same source (@invnet/native): what is here opens it and binds it.
 *
 * Left out: where the addon is, and what to do without one.
 */
import { BackendError } from '../errors.ts';
import { fingerprint } from './kernels.generated.ts';
import type { Kernels } from './kernels.ts';

/** An addon that was opened. */
export interface NativeKernels {
  /** The file, which each thread opens. */
  readonly path: string;
  /** For which processors the build in use is: `'avx512'`, `'avx2'` or `'neon'`. */
  readonly build: string;
  /** Builds that run here, the one in use first among those that are at most as wide. */
  readonly builds: readonly string[];
  /** @internal Kernels over a memory, where the calling thread's scratch is found in a word. */
  bind(memory: Uint8Array, scratchWord: number): BoundKernels;
  /**
   * Runs rounds of multiply-adds in registers: what the processor does at best.
   * @returns how many operations they were
   */
  multiplyAdd(rounds: number): number;
}

/** Kernels over a memory; `moveTo` tells them where it is, after it has grown. */
export type BoundKernels = Partial<Kernels> & { moveTo(memory: Uint8Array): void };

interface Addon {
  readonly fingerprint: string;
  supported(): string[];
  bind(build: string, memory: Uint8Array, scratchWord: number): BoundKernels;
  multiplyAdd(build: string, rounds: number): number;
}

/**
 * Opens an addon of @invnet/native, which finds it by itself: this is for whoever brings a file of their own.
 *
 * @param build which of its builds; the best that runs here unless told
 * @throws BackendError where there is no such file, where it is none for this system, processor or version of
 *   @invnet/tensor, and outside of Node.js
 * @example
 * const native = openNativeKernels('/opt/invnet/invnet.node');
 * await setBackend(await WasmBackend.create({ threads: 4, native }));
 */
export function openNativeKernels(path: string, build?: string): NativeKernels {
  const addon = load(path);
  if (addon.fingerprint !== fingerprint) {
    throw new BackendError(
      `native: ${path} was made for another version of @invnet/tensor. Install both packages of one release, or ` +
        'build the addon again.',
    );
  }
  const builds = addon.supported();
  const chosen = build ?? builds[0];
  if (chosen === undefined || !builds.includes(chosen)) {
    const here = builds.length > 0 ? `it runs here for ${builds.join(', ')}` : 'it has none that does';
    throw new BackendError(
      `native: ${path} has no build ${build ? `'${build}' ` : ''}that runs on this processor; ${here}.`,
    );
  }
  return {
    path,
    build: chosen,
    builds,
    bind: (memory, scratchWord) => addon.bind(chosen, memory, scratchWord),
    multiplyAdd: (rounds) => addon.multiplyAdd(chosen, rounds),
  };
}

function load(path: string): Addon {
  if (typeof process === 'undefined' || !process.getBuiltinModule) {
    throw new BackendError('native: an addon needs Node.js.');
  }
  const { createRequire } = process.getBuiltinModule('node:module');
  let addon: Partial<Addon> | undefined;
  try {
    addon = createRequire(process.execPath)(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : cause;
    throw new BackendError(`native: ${path} cannot be opened: ${reason}`, { cause });
  }
  if (typeof addon?.bind !== 'function' || typeof addon.supported !== 'function') {
    throw new BackendError(`native: ${path} is no addon of @invnet/native.`);
  }
  return addon as Addon;
}
