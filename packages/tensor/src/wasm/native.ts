/**
 * Kernels for the processor itself, which run on the memory of the WebAssembly ones in their place. They are an
 * addon for Node.js, made from the same source (@invnet/native): what is here opens it and binds it.
 *
 * Left out: where the addon is, and what to do without one.
 */
import { requireWhole } from '../checks.ts';
import { BackendError, formatValue, ValueError } from '../errors.ts';
import { fingerprint } from './kernels.generated.ts';
import type { Kernels } from './kernels.ts';

/** An addon that was opened. */
export interface NativeKernels {
  /** The whole path of the file, which each thread opens. */
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
   * @throws ValueError unless the rounds are a whole number of at least 1
   */
  multiplyAdd(rounds: number): number;
}

/** Kernels over a memory; `moveTo` tells them where it is, after it has grown. */
export type BoundKernels = Partial<Kernels> & { moveTo(memory: Uint8Array): void };

interface Addon {
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
  if (typeof path !== 'string') {
    throw new ValueError(`openNativeKernels: path is ${formatValue(path)}; expected a text.`);
  }
  const { file, addon } = load(path);
  const builds = addon.supported();
  const chosen = build ?? builds[0];
  if (chosen === undefined || !builds.includes(chosen)) {
    const here =
      builds.length > 0 ? `it runs here for ${builds.join(', ')}` : 'it has none that does';
    throw new BackendError(
      `native: ${path} has no build ${build === undefined ? '' : `${formatValue(build)} `}that runs on this processor; ${here}.`,
    );
  }
  return {
    path: file,
    build: chosen,
    builds,
    bind: (memory, scratchWord) => addon.bind(chosen, memory, scratchWord),
    multiplyAdd: (rounds) => {
      requireWhole('multiplyAdd', 'rounds', rounds, 1);
      return addon.multiplyAdd(chosen, rounds);
    },
  };
}

/** Opens the file, after a look whether it is what was built: the system would run into one that is cut short. */
function load(path: string): { file: string; addon: Addon } {
  if (typeof process === 'undefined' || !process.getBuiltinModule) {
    throw new BackendError('native: an addon needs Node.js.');
  }
  const { readFileSync } = process.getBuiltinModule('node:fs');
  const { createHash } = process.getBuiltinModule('node:crypto');
  const { createRequire } = process.getBuiltinModule('node:module');
  const file = process.getBuiltinModule('node:path').resolve(path);
  const opened = <T>(open: () => T): T => {
    try {
      return open();
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : cause;
      throw new BackendError(`native: ${path} cannot be opened: ${reason}`, { cause });
    }
  };
  const { manifest, sha256 } = opened(() => ({
    manifest: JSON.parse(readFileSync(`${file}.json`, 'utf8')),
    sha256: createHash('sha256').update(readFileSync(file)).digest('hex'),
  }));
  if (manifest?.fingerprint !== fingerprint) {
    throw new BackendError(
      `native: ${path} was made for another version of @invnet/tensor. Install both packages of one release, or ` +
        'build the addon again.',
    );
  }
  if (manifest.sha256 !== sha256) {
    throw new BackendError(
      `native: ${path} is damaged. Install its package again, or build it again.`,
    );
  }
  return { file, addon: opened(() => createRequire(process.execPath)(file)) };
}
