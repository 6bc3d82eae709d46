/** Typed errors. Each message names the operation, what came, and what was expected. */

/** Base of all errors that InvNet throws on purpose. */
export class InvNetError extends Error {
  override name = 'InvNetError';
}

/** A shape, rank or size does not fit. */
export class ShapeError extends InvNetError {
  override name = 'ShapeError';
}

/** Element types differ or are not supported by the backend. */
export class DTypeError extends InvNetError {
  override name = 'DTypeError';
}

/** A backend is unknown, missing, or asked for what it cannot do; or two backends were mixed. */
export class BackendError extends InvNetError {
  override name = 'BackendError';
}

/** The device of a backend is gone, and its tensors with it; `setBackend` finds a new one. */
export class DeviceLostError extends BackendError {
  override name = 'DeviceLostError';
}

/** The backend cannot give the memory that was asked for. */
export class OutOfMemoryError extends InvNetError {
  override name = 'OutOfMemoryError';
}

/** A tensor was used after it was disposed, or after its backend was. */
export class DisposedError extends InvNetError {
  override name = 'DisposedError';
}

/** An argument that is not a shape has a value that cannot be used. */
export class ValueError extends InvNetError {
  override name = 'ValueError';
}

/** `[2, 3]` as it stands in messages. */
export function formatShape(shape: readonly number[]): string {
  return Array.isArray(shape) ? `[${shape.map(formatValue).join(', ')}]` : formatValue(shape);
}

/** Anything as it stands in messages: numbers and texts as they are, others by their kind. */
export function formatValue(value: unknown): string {
  if (typeof value === 'string') return `'${value.length > 60 ? `${value.slice(0, 57)}…` : value}'`;
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return value.name ? `the function ${value.name}` : 'a function';
  if (Array.isArray(value)) {
    const short = value.length <= 6 && value.every((v) => typeof v !== 'object');
    return short ? `[${Array.from(value, formatValue).join(', ')}]` : `a list of ${value.length}`;
  }
  if (typeof value !== 'object' || value === null) return String(value);
  // A class may say more of its instances, as tensors do; what they say must not fail here.
  const { name } = value.constructor ?? {};
  if (typeof name !== 'string' || name === 'Object' || name === '') return 'an object';
  return `${/^([aeio]|un)/i.test(name) ? 'an' : 'a'} ${name}`;
}
