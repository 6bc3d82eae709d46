/**
 * The element types of safetensors files, and how this library reads them: as float32 where that holds
 * every value exactly, else as float64.
 *
 * Left out: types that are packed (F4, F6) or complex (C64). They have a width, so that a file with such
 * entries can be checked and its other entries read.
 */
import type { NumericArray } from '@invnet/tensor';

/** An element type of the format. */
export interface ElementType {
  /** Width of an element. */
  readonly bits: number;
  /** The numbers of an entry; undefined where floats cannot hold them. */
  readonly read?: (bytes: ArrayBuffer) => NumericArray | undefined;
}

/** Which codes of a small float are no numbers: as in IEEE 754, or those of the 8-bit formats. */
type SpecialCodes = 'ieee' | 'nan at the ends' | 'nan at negative zero';

/** By the names that headers have for them. */
export const elementTypes: ReadonlyMap<string, ElementType> = new Map<string, ElementType>([
  ['F64', { bits: 64, read: (bytes) => new Float64Array(bytes) }],
  ['F32', { bits: 32, read: (bytes) => new Float32Array(bytes) }],
  ['F16', smallFloat(16, { exponentBits: 5 })],
  ['BF16', smallFloat(16, { exponentBits: 8 })],
  ['F8_E5M2', smallFloat(8, { exponentBits: 5 })],
  ['F8_E4M3', smallFloat(8, { exponentBits: 4, special: 'nan at the ends' })],
  ['F8_E5M2FNUZ', smallFloat(8, { exponentBits: 5, special: 'nan at negative zero' })],
  ['F8_E4M3FNUZ', smallFloat(8, { exponentBits: 4, special: 'nan at negative zero' })],
  ['F8_E8M0', { bits: 8, read: byTable(Uint8Array, 8, powerOfTwo) }],
  ['F6_E2M3', { bits: 6 }],
  ['F6_E3M2', { bits: 6 }],
  ['F4', { bits: 4 }],
  ['C64', { bits: 64 }],
  ['I64', { bits: 64, read: (bytes) => wholeNumbers(new BigInt64Array(bytes)) }],
  ['U64', { bits: 64, read: (bytes) => wholeNumbers(new BigUint64Array(bytes)) }],
  ['I32', { bits: 32, read: (bytes) => new Float64Array(new Int32Array(bytes)) }],
  ['U32', { bits: 32, read: (bytes) => new Float64Array(new Uint32Array(bytes)) }],
  ['I16', { bits: 16, read: (bytes) => new Float32Array(new Int16Array(bytes)) }],
  ['U16', { bits: 16, read: (bytes) => new Float32Array(new Uint16Array(bytes)) }],
  ['I8', { bits: 8, read: (bytes) => new Float32Array(new Int8Array(bytes)) }],
  ['U8', { bits: 8, read: (bytes) => new Float32Array(new Uint8Array(bytes)) }],
  ['BOOL', { bits: 8, read: byTable(Uint8Array, 8, (code) => Math.min(code, 1)) }],
]);

/** A sign, an exponent and a fraction in 8 or 16 bits. */
function smallFloat(
  bits: 8 | 16,
  {
    exponentBits,
    special = 'ieee',
  }: { readonly exponentBits: number; readonly special?: SpecialCodes },
): ElementType {
  const fractionBits = bits - 1 - exponentBits;
  const one = 2 ** fractionBits;
  const lastExponent = 2 ** exponentBits - 1;
  const bias = (lastExponent - 1) / 2 + (special === 'nan at negative zero' ? 1 : 0);
  const magnitude = (code: number): number => {
    const exponent = Math.floor(code / one);
    const fraction = code % one;
    if (special === 'ieee' && exponent === lastExponent) return fraction === 0 ? Infinity : NaN;
    if (special === 'nan at the ends' && code === one * 2 ** exponentBits - 1) return NaN;
    // The lowest exponent is that of the subnormal numbers, which have no leading 1.
    const significand = exponent === 0 ? fraction : one + fraction;
    return significand * 2 ** (Math.max(exponent, 1) - bias - fractionBits);
  };
  const negative = 2 ** (bits - 1);
  const decode = (code: number): number => {
    if (special === 'nan at negative zero' && code === negative) return NaN;
    return code < negative ? magnitude(code) : -magnitude(code - negative);
  };
  return { bits, read: byTable(bits === 8 ? Uint8Array : Uint16Array, bits, decode) };
}

/** An exponent alone; its last code is no number. */
function powerOfTwo(code: number): number {
  return code === 255 ? NaN : 2 ** (code - 127);
}

/** Reads codes of few bits by a table of all of them, which is made when it is first asked for. */
function byTable(
  Codes: Uint8ArrayConstructor | Uint16ArrayConstructor,
  bits: number,
  decode: (code: number) => number,
): (bytes: ArrayBuffer) => Float32Array {
  let table: Float32Array | undefined;
  return (bytes) => {
    table ??= Float32Array.from({ length: 2 ** bits }, (_, code) => decode(code));
    const codes = new Codes(bytes);
    const numbers = new Float32Array(codes.length);
    for (let i = 0; i < codes.length; i++) numbers[i] = table[codes[i]!]!;
    return numbers;
  };
}

/** 64-bit integers as floats, which hold those up to 2⁵³. */
function wholeNumbers(values: BigInt64Array | BigUint64Array): Float64Array | undefined {
  const numbers = new Float64Array(values.length);
  for (let i = 0; i < values.length; i++) {
    numbers[i] = Number(values[i]);
    if (!Number.isSafeInteger(numbers[i])) return undefined;
  }
  return numbers;
}
