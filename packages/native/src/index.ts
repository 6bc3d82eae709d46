/**
 * `@invnet/native`: importing it adds the backend `native` to `setBackend`, the `wasm` backend with its kernels
 * compiled for the processor. Results are the same to the bit.
 *
 * Left out: the kernels, which are those of @invnet/tensor, translated (scripts/translate.mjs).
 *
 * @example
 * import '@invnet/native';
 * await setBackend('native', { threads: 8 });
 * console.log(backendInfo().details.native); // 'avx512', 'avx2' or 'neon'
 */
import {
  BackendError,
  type BackendOptions,
  type NativeKernels,
  registerBackend,
  requireRecord,
  WasmBackend,
} from '@invnet/tensor';
import { findNativeKernels } from './find.ts';

export { findNativeKernels } from './find.ts';

declare module '@invnet/tensor' {
  interface BackendNames {
    native: true;
  }
}

registerBackend('native', createNativeBackend);

/**
 * A backend on native kernels; where there are none it is `wasm`, which says so by a warning of the process, and why in
 * `info().details.fallbackReason`.
 *
 * @throws BackendError, ValueError for options that `wasm` does not take either
 */
export async function createNativeBackend(options: BackendOptions = {}): Promise<WasmBackend> {
  requireRecord('native', 'options', options);
  let native: NativeKernels;
  try {
    native = options.native ?? findNativeKernels();
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    const fallbackReason = error.message;
    if (typeof process === 'undefined') console.warn(`${fallbackReason} It runs on wasm.`);
    else process.emitWarning(`${fallbackReason} It runs on wasm.`);
    return WasmBackend.create({ ...options, fallbackReason });
  }
  return WasmBackend.create({ ...options, native });
}
