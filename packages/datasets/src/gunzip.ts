/** Files that are compressed with gzip, by what Node.js and browsers bring. */
import { InvNetError, requireBytes } from '@invnet/tensor';

/** Does a file start as gzip's do? */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/**
 * What was compressed, of a file such as those of MNIST as they are handed around; any other file as it is.
 *
 * @throws InvNetError for a truncated or damaged file. @throws ValueError for what is no Uint8Array.
 * @example const { shape, data } = parseIdx(await gunzip(await readFile('train-images.idx3-ubyte.gz')));
 */
export async function gunzip(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  requireBytes('gunzip', 'bytes', bytes);
  if (!isGzip(bytes)) return Uint8Array.from(bytes);
  const stream = new Blob([Uint8Array.from(bytes)])
    .stream()
    .pipeThrough(new DecompressionStream('gzip'));
  try {
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch (cause) {
    throw new InvNetError('gunzip: the file is truncated or damaged: its gzip does not end well.', {
      cause,
    });
  }
}
