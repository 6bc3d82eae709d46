/**
 * SEG-Y, the format of seismic traces (SEG, revisions 0, 1 and 2): 3200 bytes of text, 400 of numbers about the file, and then
 * traces, each with a header of 240 bytes.
 *
 * Left out: traces of different lengths, extended headers of unknown number, fields that are not named here,
 * and writing.
 */
import { InvNetError, requireBytes } from '@invnet/tensor';

/** Bytes are not a whole SEG-Y file, or one that is not read here. */
export class SegyFormatError extends InvNetError {
  override name = 'SegyFormatError';
}

/** What a SEG-Y file holds. */
export interface SegyFile {
  /** [traces, samples] */
  readonly shape: readonly [number, number];
  /** Row-major, a trace in a row, in float32. */
  readonly data: Float32Array<ArrayBuffer>;
  /** Between samples, in µs, as the file says; sections in depth keep mm, or another length, there. */
  readonly interval: number;
  /** Of each trace. */
  readonly headers: SegyHeaders;
  /** The text at the start, in 40 lines. */
  readonly text: string;
}

/** Fields of the headers of traces, one number a trace. A file leaves 0 where it has nothing to say. */
export interface SegyHeaders {
  /** Number of the shot in the field. */
  readonly fieldRecord: Int32Array<ArrayBuffer>;
  /** Number of the trace, or channel, within its shot. */
  readonly channel: Int32Array<ArrayBuffer>;
  /** Number of the ensemble, such as a common midpoint. */
  readonly ensemble: Int32Array<ArrayBuffer>;
  readonly inline: Int32Array<ArrayBuffer>;
  readonly crossline: Int32Array<ArrayBuffer>;
  /** Distance of source and receiver, with a sign, in the file's unit of length. */
  readonly offset: Int32Array<ArrayBuffer>;
  /** Coordinates in the file's unit: what is stored, times or by the scalar of its trace. */
  readonly sourceX: Float64Array<ArrayBuffer>;
  readonly sourceY: Float64Array<ArrayBuffer>;
  readonly receiverX: Float64Array<ArrayBuffer>;
  readonly receiverY: Float64Array<ArrayBuffer>;
  /** Of the ensemble. */
  readonly x: Float64Array<ArrayBuffer>;
  readonly y: Float64Array<ArrayBuffer>;
}

const FILE_HEADER = 3600;
const TRACE_HEADER = 240;

/**
 * Reads a whole SEG-Y file: floats of IBM and of IEEE, and integers, of either byte order.
 *
 * @param bytes - The file.
 * @param name - What messages call it, such as the file's path.
 * @throws SegyFormatError for another kind of file, one whose bytes are not as many as its header says, or traces of
 * different lengths. @throws ValueError for what is no Uint8Array.
 * @example
 * const { shape, data, interval, headers } = parseSegy(await readFile('shot.sgy'));
 * const [traces, samples] = shape;
 * const third = data.subarray(2 * samples, 3 * samples); // recorded at headers.receiverX[2]
 */
export function parseSegy(bytes: Uint8Array, name = 'the file'): SegyFile {
  requireBytes('parseSegy', 'bytes', bytes);
  const fail: Fail = (message) => {
    throw new SegyFormatError(`parseSegy: ${name} ${message}`);
  };
  const { little, format, interval, samples, start } = fileHeaderOf(bytes, fail);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const pitch = TRACE_HEADER + samples * format.bytes;
  const traces = (bytes.length - start) / pitch;
  if (!Number.isInteger(traces) || traces === 0) {
    const problem =
      traces < 1 ? 'is truncated' : 'is truncated, or its header lies about its length';
    fail(
      `${problem}: by its header a trace has ${samples} samples of ${format.bytes} bytes, with its own ` +
        `header ${pitch}, but ${bytes.length - start} bytes of traces are there; expected one or more whole ones.`,
    );
  }
  const places = Array.from({ length: traces }, (_, trace) => start + trace * pitch);
  places.forEach((at, trace) => {
    const said = view.getUint16(at + 114, little);
    if (said === 0 || said === (samples & 0xffff)) return;
    fail(
      `says ${samples} samples in its header, but ${said} in that of trace ${trace + 1}; expected one number.`,
    );
  });
  const data = new Float32Array(traces * samples);
  places.forEach((at, trace) => {
    const first = at + TRACE_HEADER;
    for (let i = 0; i < samples; i++) {
      data[trace * samples + i] = format.read(view, first + i * format.bytes, little);
    }
  });
  const numbers = (byte: number) =>
    Int32Array.from(places, (at) => view.getInt32(at + byte - 1, little));
  const coordinates = (byte: number) =>
    Float64Array.from(places, (at) => {
      const scalar = view.getInt16(at + 70, little);
      const value = view.getInt32(at + byte - 1, little);
      return scalar < 0 ? value / -scalar : value * (scalar || 1);
    });
  // Bytes are counted from 1, as in the standard.
  const headers = {
    fieldRecord: numbers(9),
    channel: numbers(13),
    ensemble: numbers(21),
    inline: numbers(189),
    crossline: numbers(193),
    offset: numbers(37),
    sourceX: coordinates(73),
    sourceY: coordinates(77),
    receiverX: coordinates(81),
    receiverY: coordinates(85),
    x: coordinates(181),
    y: coordinates(185),
  };
  return { shape: [traces, samples], data, interval, headers, text: textOf(bytes) };
}

type Fail = (message: string) => never;

interface SampleFormat {
  readonly bytes: number;
  read(view: DataView, at: number, little: boolean): number;
}

/** By their codes. */
const formats: Readonly<Record<number, SampleFormat>> = {
  1: { bytes: 4, read: (view, at, little) => ibmFloat(view.getUint32(at, little)) },
  2: { bytes: 4, read: (view, at, little) => view.getInt32(at, little) },
  3: { bytes: 2, read: (view, at, little) => view.getInt16(at, little) },
  5: { bytes: 4, read: (view, at, little) => view.getFloat32(at, little) },
  6: { bytes: 8, read: (view, at, little) => view.getFloat64(at, little) },
  8: { bytes: 1, read: (view, at) => view.getInt8(at) },
};

/** A sign, 7 bits of an exponent of 16 with 64 added, and 24 bits of a fraction without a hidden one. */
function ibmFloat(bits: number): number {
  const fraction = bits & 0xffffff;
  const scale = ibmScales[(bits >>> 24) & 127]!;
  return bits >>> 31 ? -fraction * scale : fraction * scale;
}

const ibmScales = Float64Array.from(
  { length: 128 },
  (_, exponent) => 2 ** (4 * (exponent - 64) - 24),
);

interface FileHeader {
  readonly little: boolean;
  readonly format: SampleFormat;
  readonly interval: number;
  readonly samples: number;
  /** Where the first trace starts. */
  readonly start: number;
}

function fileHeaderOf(bytes: Uint8Array, fail: Fail): FileHeader {
  if (bytes.length < FILE_HEADER + TRACE_HEADER) {
    fail(
      `is truncated, or no SEG-Y file: it has ${bytes.length} bytes, headers alone ${FILE_HEADER + TRACE_HEADER}.`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const codes = [view.getUint16(3224, false), view.getUint16(3224, true)];
  const little = !formats[codes[0]!] && formats[codes[1]!] !== undefined;
  const format = formats[little ? codes[1]! : codes[0]!];
  if (!format) {
    return fail(
      `is not a SEG-Y file, or has samples of another type: their code is ${codes[0]}; expected one of ` +
        `${Object.keys(formats).join(', ')}.`,
    );
  }
  const revision = little ? bytes[3501]! : bytes[3500]!;
  const texts = revision >= 1 ? view.getInt16(3504, little) : 0;
  if (texts < 0)
    fail(`says that it has ${texts} more texts at its start; expected how many there are.`);
  const start = FILE_HEADER + 3200 * texts;
  if (bytes.length < start + TRACE_HEADER) {
    fail(
      `is truncated: it has ${bytes.length} bytes; its ${texts} more texts and a trace need more than ${start}.`,
    );
  }
  const extended = revision >= 2 ? view.getInt32(3268, little) : 0;
  const samples = extended || view.getUint16(3220, little) || view.getUint16(start + 114, little);
  if (samples < 1) fail(`says that a trace has ${samples} samples; expected at least 1.`);
  const interval = view.getUint16(3216, little) || view.getUint16(start + 116, little);
  return { little, format, interval, samples, start };
}

/** What the bytes 64 … 255 of EBCDIC (code page 500) stand for. */
const ebcdic =
  ` \xa0âäàáãåçñ[.<(+!&éêëèíîïìß]$*);^-/ÂÄÀÁÃÅÇÑ¦,%_>?øÉÊËÈÍÎÏÌ\`:#@'="` +
  `Øabcdefghi«»ðýþ±°jklmnopqrªºæ¸Æ¤µ~stuvwxyz¡¿ÐÝÞ®¢£¥·©§¶¼½¾¬|¯¨´×` +
  `{ABCDEFGHI\xadôöòóõ}JKLMNOPQR¹ûüùúÿ\\÷STUVWXYZ²ÔÖÒÓÕ0123456789³ÛÜÙÚ\x9f`;

/** In EBCDIC, or in ASCII, by which of their spaces there are more. */
function textOf(bytes: Uint8Array): string {
  const text = bytes.subarray(0, 3200);
  const count = (byte: number) => text.reduce((sum, v) => sum + (v === byte ? 1 : 0), 0);
  const letter =
    count(0x40) > count(0x20)
      ? (v: number) => ebcdic[v - 64] ?? ' '
      : (v: number) => (v < 32 || v > 126 ? ' ' : String.fromCharCode(v));
  const lines = Array.from({ length: 40 }, (_, i) => text.subarray(80 * i, 80 * i + 80));
  return lines.map((line) => Array.from(line, letter).join('').trimEnd()).join('\n');
}
