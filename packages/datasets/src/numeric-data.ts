/** The arrays that numbers of a file are read into, whose type the file says. */
export type NumericData =
  | Uint8Array<ArrayBuffer>
  | Int8Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | BigUint64Array<ArrayBuffer>
  | BigInt64Array<ArrayBuffer>
  | Float32Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>;

/** Numbers of a typed array of any kind. */
export type TypedNumbers =
  | BigInt64Array
  | BigUint64Array
  | (ArrayLike<number> & Iterable<number> & { readonly BYTES_PER_ELEMENT: number });

/**
 * The numbers as floats, exactly: those that float32 holds become such, others float64. NaN stands for whole numbers
 * that no float64 is.
 */
export function toFloats(data: TypedNumbers): Float32Array | Float64Array {
  if (data instanceof Float32Array || data instanceof Float64Array) return data;
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    return Float64Array.from(data, (value) => {
      const float = Number(value);
      return BigInt(float) === value ? float : Number.NaN;
    });
  }
  return data.BYTES_PER_ELEMENT <= 2 ? Float32Array.from(data) : Float64Array.from(data);
}
