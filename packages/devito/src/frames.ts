/**
 * What goes through the pipes: the length of a header as a 32-bit number, the header as JSON, and the numbers of all
 * arrays that it lists, one after the other, as 32-bit floats. All little-endian.
 */

/** What a frame says; `arrays` has the number of floats of each array behind it. */
export interface Header {
  readonly [name: string]: unknown;
  readonly arrays: readonly number[];
}

/** A frame, read. */
export interface Frame {
  readonly header: Header;
  readonly arrays: readonly Float32Array[];
}

/** Larger headers are no headers: what came is no frame. */
const MOST_HEADER_BYTES = 2 ** 20;
/** A gibibyte of numbers. */
const MOST_FLOATS = 2 ** 28;

/** The bytes of a frame. */
export function frameBytes(
  fields: Readonly<Record<string, unknown>>,
  arrays: readonly Float32Array[] = [],
): Uint8Array<ArrayBuffer> {
  const header = { ...fields, arrays: arrays.map((a) => a.length) } satisfies Header;
  const text = new TextEncoder().encode(JSON.stringify(header));
  const floats = arrays.reduce((sum, a) => sum + a.length, 0);
  const bytes = new Uint8Array(4 + text.length + 4 * floats);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, text.length, true);
  bytes.set(text, 4);
  let at = 4 + text.length;
  for (const array of arrays) {
    bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), at);
    at += array.byteLength;
  }
  return bytes;
}

/**
 * Collects bytes as they come and gives each frame when it is whole.
 *
 * @throws Error for bytes that are no frame: something else has written to the pipe.
 */
export class FrameReader {
  #parts: Uint8Array[] = [];
  #length = 0;
  #header: { header: Header; start: number; end: number } | undefined;

  /** The frame that these bytes complete, if they do. */
  push(part: Uint8Array): Frame | undefined {
    // Not as the Buffer that it may be, whose `slice` shares its bytes.
    this.#parts.push(new Uint8Array(part.buffer, part.byteOffset, part.length));
    this.#length += part.length;
    this.#header ??= this.#readHeader();
    if (!this.#header || this.#length < this.#header.end) return undefined;
    const { header, start, end } = this.#header;
    const bytes = this.#joined();
    if (bytes.length > end) throw new Error(`${bytes.length - end} bytes came behind a frame`);
    let at = start;
    const arrays = header.arrays.map((length) => {
      // A copy, which lies where floats may lie.
      const array = new Float32Array(bytes.slice(at, at + 4 * length).buffer);
      at += 4 * length;
      return array;
    });
    this.#parts = [];
    this.#length = 0;
    this.#header = undefined;
    return { header, arrays };
  }

  #readHeader() {
    if (this.#length < 4) return undefined;
    const bytes = this.#joined();
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    if (length > MOST_HEADER_BYTES) {
      const text = new TextDecoder().decode(bytes.subarray(0, 200));
      throw new Error(`expected a frame, got ${JSON.stringify(text)}`);
    }
    const start = 4 + length;
    if (this.#length < start) return undefined;
    const header: unknown = JSON.parse(new TextDecoder().decode(bytes.subarray(4, start)));
    if (!isHeader(header)) throw new Error(`expected a frame, got ${JSON.stringify(header)}`);
    const floats = header.arrays.reduce((sum, n) => sum + n, 0);
    return { header, start, end: start + 4 * floats };
  }

  #joined(): Uint8Array {
    if (this.#parts.length > 1) {
      const whole = new Uint8Array(this.#length);
      let at = 0;
      for (const part of this.#parts) {
        whole.set(part, at);
        at += part.length;
      }
      this.#parts = [whole];
    }
    return this.#parts[0]!;
  }
}

function isHeader(value: unknown): value is Header {
  if (typeof value !== 'object' || value === null) return false;
  const arrays: unknown = Reflect.get(value, 'arrays');
  return (
    Array.isArray(arrays) &&
    arrays.every((n) => Number.isSafeInteger(n) && n >= 0 && n <= MOST_FLOATS)
  );
}
