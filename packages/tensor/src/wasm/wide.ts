/**
 * Vectors of 256 bits: V8 can pack two vectors of 128 bits that lie side by side in the kernels into one, where
 * the processor has them. It does so behind an experimental flag, which holds for the whole process and for
 * what is compiled from then on.
 *
 * Left out: what V8 does with each function, of which it says nothing.
 */

const flag = 'experimental-wasm-revectorize';

let wide: boolean | undefined;

/** Is WebAssembly compiled to wide vectors in this process, as far as `widen` had that done? */
export function isWide(): boolean {
  return wide === true;
}

/**
 * Asks V8 for wide vectors, once for the process. False where they cannot be had: outside of Node.js, on
 * processors without them, and where V8 has no such flag.
 */
export function widen(): boolean {
  wide ??= canWiden() && setFlag();
  return wide;
}

function canWiden(): boolean {
  if (typeof process === 'undefined' || !process.getBuiltinModule) return false;
  // A program that is its own engine, as with Electron, would be started once more by what follows.
  const { basename } = process.getBuiltinModule('node:path');
  if (!/^node(js)?(\.exe)?$/.test(basename(process.execPath))) return false;
  if (process.arch !== 'x64' || !hasWideVectors()) return false;
  return hasFlag();
}

/** V8 complains of flags that it does not know in the midst of what the program prints, so it is asked first. */
function hasFlag(): boolean {
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  try {
    const { stdout } = spawnSync(process.execPath, ['--v8-options'], { encoding: 'utf8' });
    return typeof stdout === 'string' && stdout.includes(`--${flag} `);
  } catch {
    // A process that may start no other.
    return false;
  }
}

/** Linux tells; elsewhere V8 looks for itself, and does nothing without them. */
function hasWideVectors(): boolean {
  if (process.platform !== 'linux') return true;
  try {
    return / avx2 /.test(process.getBuiltinModule('node:fs').readFileSync('/proc/cpuinfo', 'utf8'));
  } catch {
    return true;
  }
}

function setFlag(): true {
  process.getBuiltinModule('node:v8').setFlagsFromString(`--${flag}`);
  return true;
}
