/**
 * Where the addon is: built in this clone, or installed as the package of this platform. Left out: opening it, which
 * @invnet/tensor does.
 */
import { BackendError, type NativeKernels, openNativeKernels } from '@invnet/tensor';

/**
 * The native kernels for this machine: those that were built in a clone, else those of the package for its platform,
 * which npm installs with this one.
 *
 * @throws BackendError that says why there are none
 * @example
 * const { build, builds } = findNativeKernels(); // 'avx2', ['avx512', 'avx2'] …
 */
export function findNativeKernels(build?: string): NativeKernels {
  return openNativeKernels(findAddon(), build);
}

function findAddon(): string {
  if (typeof process === 'undefined' || !process.getBuiltinModule) {
    throw new BackendError('native: an addon needs Node.js.');
  }
  const { existsSync } = process.getBuiltinModule('node:fs');
  const { createRequire } = process.getBuiltinModule('node:module');
  const { fileURLToPath } = process.getBuiltinModule('node:url');
  const built = fileURLToPath(new URL('../build/invnet.node', import.meta.url));
  if (existsSync(built)) return built;
  const name = `@invnet/native-${process.platform}-${process.arch}`;
  try {
    return createRequire(import.meta.url).resolve(`${name}/invnet.node`);
  } catch (cause) {
    throw new BackendError(
      `native: ${name} is not installed. There are addons for Linux (glibc), macOS and Windows on x64 and ARM64; ` +
        'npm leaves them out with --omit=optional. A clone builds its own where it has a C compiler.',
      { cause },
    );
  }
}
