/**
 * NPZ: several NPY files in a ZIP archive, as `numpy.savez` and `numpy.savez_compressed` write them, by `fflate`, which
 * who wants this entry installs. An archive is read whole; what is larger than memory is kept as NPY files.
 *
 * Left out: check sums, which the library does not compare.
 */
import {
  formatValue,
  InvNetError,
  requireBoolean,
  requireBytes,
  requireOptions,
  requireRecord,
  ValueError,
} from '@invnet/tensor';
import { unzipSync, zipSync } from 'fflate';
import { type NpyArray, parseNpy, writeNpy } from './npy.ts';

export type { NpyArray, NumericData } from './npy.ts';

/** Bytes are not a whole archive of arrays. */
export class NpzFormatError extends InvNetError {
  override name = 'NpzFormatError';
}

/**
 * Reads all arrays of an NPZ file, compressed or not, by their names.
 *
 * @param bytes - The file.
 * @param name - What messages call it, such as the file's path.
 * @throws NpzFormatError for another kind of file, or a truncated or damaged one. @throws NpyFormatError for an array
 * that `parseNpy` does not read. @throws ValueError for what is no Uint8Array.
 * @example
 * const { theta, x } = parseNpz(await readFile('simulations.npz'));
 * // numpy.savez('simulations.npz', theta=theta, x=x)
 */
export function parseNpz(bytes: Uint8Array, name = 'the file'): Readonly<Record<string, NpyArray>> {
  requireBytes('parseNpz', 'bytes', bytes);
  if (bytes[0] !== 0x50 || bytes[1] !== 0x4b) {
    const start = String.fromCharCode(...bytes.subarray(0, 6));
    throw new NpzFormatError(
      `parseNpz: ${name} is not an NPZ file: it starts with ${formatValue(start)}; expected 'PK'.` +
        (start.startsWith('\x93NUMPY') ? ' It is an NPY file, which parseNpy reads.' : ''),
    );
  }
  const arrays = Object.entries(unzipped(bytes, name)).map(([entry, content]) => {
    if (!entry.endsWith('.npy')) {
      throw new NpzFormatError(
        `parseNpz: ${name} holds ${formatValue(entry)}; expected arrays alone, whose names end in .npy.`,
      );
    }
    return [entry.slice(0, -4), parseNpy(content, `${name}: ${entry}`)] as const;
  });
  return Object.fromEntries(arrays);
}

function unzipped(bytes: Uint8Array, name: string): Readonly<Record<string, Uint8Array>> {
  try {
    return unzipSync(bytes, {
      filter: ({ originalSize, name: entry }) => {
        if (originalSize <= MOST_BYTES) return true;
        throw new RangeError(`${entry} is said to be ${originalSize} bytes`);
      },
    });
  } catch (cause) {
    // What the library stumbles over in damaged files is of any kind.
    throw new NpzFormatError(`parseNpz: ${name} is truncated or damaged.`, { cause });
  }
}

/** Most bytes of an array; a damaged header could say more than there is memory. */
const MOST_BYTES = 2 ** 32;

/** How to write an archive. */
export interface WriteNpzOptions {
  /** Compressed files are smaller, and take longer to write. Default: false. */
  readonly compress?: boolean;
}

/**
 * The bytes of an NPZ file of arrays by their names, for `numpy.load`.
 *
 * @throws ValueError for no arrays, or a name that is none of a file. @throws ValueError, ShapeError as `writeNpy`.
 * @example
 * await writeFile('posterior.npz', writeNpz({ theta: { shape: [1000, 5], data: samples } }));
 */
export function writeNpz(
  arrays: Readonly<Record<string, Parameters<typeof writeNpy>[0]>>,
  options: WriteNpzOptions = {},
): Uint8Array<ArrayBuffer> {
  requireOptions('writeNpz', options, ['compress']);
  const { compress = false } = options;
  requireBoolean('writeNpz', 'compress', compress);
  requireRecord('writeNpz', 'arrays', arrays, 'arrays by their names');
  const files = Object.entries(arrays).map(([name, array]) => {
    if (!/^[^/\\\0]+$/.test(name)) {
      throw new ValueError(
        `writeNpz: an array is called ${formatValue(name)}; expected a name without slashes.`,
      );
    }
    return [`${name}.npy`, writeNpy(array)] as const;
  });
  if (files.length === 0) throw new ValueError('writeNpz: there are no arrays; expected some.');
  // One time for all, so that equal arrays make equal files.
  return Uint8Array.from(
    zipSync(Object.fromEntries(files), { level: compress ? 6 : 0, mtime: '1980-01-01T00:00:00' }),
  );
}
