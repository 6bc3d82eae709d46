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
  if (!/^node(js)?(\.exe)?$/.test(basename(process.execPath)) || process.arch !== 'x64')
    return false;
  try {
    return hasWideVectors() && hasFlag();
  } catch {
    // A process that may start no other, or read nothing.
    return false;
  }
}

/** V8 complains of flags that it does not know in the midst of what the program prints, so it is asked first. */
function hasFlag(): boolean {
  return ask(process.execPath, '--v8-options').includes(`--${flag} `);
}

/**
 * Without them V8 packs nothing, and tiles that are made for them are slower. Linux and macOS tell; Windows does not,
 * and has run on few processors without them since 2013.
 */
function hasWideVectors(): boolean {
  if (process.platform === 'linux') {
    const { readFileSync } = process.getBuiltinModule('node:fs');
    return / avx2 /.test(readFileSync('/proc/cpuinfo', 'utf8'));
  }
  if (process.platform === 'darwin') return ask('sysctl', '-n', 'hw.optional.avx2_0') === '1\n';
  return true;
}

/** What a program prints. @throws Error where it cannot be started */
function ask(program: string, ...args: string[]): string {
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  const { stdout, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (error) throw error;
  return stdout;
}

function setFlag(): true {
  process.getBuiltinModule('node:v8').setFlagsFromString(`--${flag}`);
  return true;
}
