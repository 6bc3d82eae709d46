/** The addon of @invnet/native, where it was built, as it is by `test` where there is a C compiler. */
import { existsSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { type NativeKernels, openNativeKernels } from '../src/wasm/native.ts';

const path = fileURLToPath(new URL('../../native/build/invnet.node', import.meta.url));

/** Its kernels for each kind of processor that this one is, none where it was not built. */
export function nativeKernels(): NativeKernels[] {
  if (!existsSync(path)) {
    if (process.env.CI) throw new Error('Tests need the addon of @invnet/native: a C compiler.');
    console.warn('The addon was not built by a C compiler: tests of native kernels are left out.');
    return [];
  }
  return openNativeKernels(path).builds.map((build) => openNativeKernels(path, build));
}
