/** Files of any size that are read in parts: a path in Node.js, or a `File` that a page was given. */
import { formatValue, InvNetError, ValueError } from '@invnet/tensor';
import { nodeModule } from './node.ts';

/** A path in Node.js, or a `Blob`, such as a `File` that someone chose in a page. */
export type FileLike = string | BlobLike;

/** What is used of a `Blob`, for programs whose types know none. */
export interface BlobLike {
  readonly size: number;
  slice(start: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> };
}

/** An open file. */
export interface ByteFile {
  /** What messages call it. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /** The bytes from `start` up to `end`, all of them. @throws InvNetError where the file has no more so many. */
  read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/** @throws ValueError for what is neither. @throws InvNetError for a file that cannot be opened. */
export async function openFile(op: string, file: FileLike): Promise<ByteFile> {
  requireFile(op, 'the file', file);
  if (typeof file !== 'string') return blobFile(op, file);
  const { open } = nodeModule('node:fs/promises', op);
  const cannot = (cause: unknown): never => {
    throw new InvNetError(`${op}: cannot read ${file}; expected a file there.`, { cause });
  };
  const handle = await open(file).catch(cannot);
  const size = await handle
    .stat()
    .then((stat) => (stat.isFile() ? stat.size : cannot('it is none')))
    .catch(async (cause) => {
      await handle.close();
      return cannot(cause);
    });
  return {
    name: file,
    size,
    async read(start, end) {
      const bytes = new Uint8Array(end - start);
      for (let done = 0; done < bytes.length; ) {
        const rest = { offset: done, length: bytes.length - done, position: start + done };
        const { bytesRead } = await handle.read({ buffer: bytes, ...rest });
        if (bytesRead === 0) throw changed(op, file, end);
        done += bytesRead;
      }
      return bytes;
    },
    close: () => handle.close(),
  };
}

/** Opens a file, and closes it when `use` is done. */
export async function withFile<T>(
  op: string,
  file: FileLike,
  use: (open: ByteFile) => Promise<T>,
): Promise<T> {
  const open = await openFile(op, file);
  try {
    return await use(open);
  } finally {
    await open.close();
  }
}

/** @throws ValueError unless the value is a path or a Blob. */
export function requireFile(op: string, name: string, value: FileLike): void {
  if ((typeof value === 'string' && value !== '') || value instanceof Blob) return;
  throw new ValueError(`${op}: ${name} is ${formatValue(value)}; expected a path, or a Blob.`);
}

function blobFile(op: string, blob: BlobLike): ByteFile {
  const name = 'name' in blob && typeof blob.name === 'string' ? blob.name : 'the file';
  return {
    name,
    size: blob.size,
    async read(start, end) {
      const bytes = new Uint8Array(await blob.slice(start, end).arrayBuffer());
      if (bytes.length !== end - start) throw changed(op, name, end);
      return bytes;
    },
    close: async () => {},
  };
}

function changed(op: string, name: string, end: number): InvNetError {
  return new InvNetError(
    `${op}: ${name} ends before byte ${end}, which it had when it was opened; expected a file that stays as it is.`,
  );
}
