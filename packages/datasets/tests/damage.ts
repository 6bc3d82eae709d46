/** Files that are cut short or damaged end in errors of the library, or are read: nothing else, and soon. */
import { InvNetError } from '@invnet/tensor';
import { expect } from 'vitest';

/** Where to damage a file: how many bytes to leave, and which bytes to change. */
export interface Damage {
  readonly lengths: Iterable<number>;
  readonly places: Iterable<number>;
  /** Is any file that is cut short refused? A byte that pads a file may be missing. Default: true. */
  readonly whole?: boolean;
}

export async function expectTypedErrors(
  file: Uint8Array,
  read: (bytes: Uint8Array) => unknown,
  { lengths, places, whole = true }: Damage,
): Promise<void> {
  await read(file);
  const surprises: string[] = [];
  const attempt = async (what: string, bytes: Uint8Array, mayBeRead: boolean) => {
    try {
      await read(bytes);
      if (!mayBeRead) surprises.push(`${what} is read`);
    } catch (error) {
      if (!(error instanceof InvNetError)) surprises.push(`${what}: ${String(error)}`);
    }
  };
  for (const length of lengths) {
    await attempt(`the first ${length} bytes`, file.subarray(0, length), !whole);
  }
  for (const place of places) {
    for (const flip of [0x01, 0x80, 0xff]) {
      const damaged = Uint8Array.from(file);
      damaged[place]! ^= flip;
      await attempt(`byte ${place} changed by ${flip}`, damaged, true);
    }
  }
  expect(surprises).toEqual([]);
}

/** start, start + step, … below end */
export function* range(start: number, end: number, step = 1): Generator<number> {
  for (let i = start; i < end; i += step) yield i;
}
