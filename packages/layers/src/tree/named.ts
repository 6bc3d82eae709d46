/** Names for what is not data: functions, and objects of functions, that a network is built from. */
import { formatValue, ValueError } from '@invnet/tensor';

const names = new WeakMap<object, string>();

/**
 * Gives a function, or an object of functions, a name under which files mention it; whoever loads
 * such a file passes a factory of that name. Returns the value itself.
 *
 * @throws ValueError for an empty name.
 * @example
 * const operator = named('radon, 64 angles', { forward, adjoint });
 * const loop = new UnrolledLoop({ memoryChannels: 4, iterations: 8, operator });
 * await saveModel('loop.safetensors', loop);
 * await loadModel('loop.safetensors', {
 *   modules: networkCatalogue,
 *   named: { 'radon, 64 angles': () => ({ forward, adjoint }) },
 * });
 */
export function named<T extends object>(name: string, value: T): T {
  if (typeof name !== 'string' || name === '') {
    throw new ValueError(
      `named: got the name ${formatValue(name)}; expected a text such as 'radon'.`,
    );
  }
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) {
    throw new ValueError(
      `named: got ${formatValue(value)} for '${name}'; expected a function or an object.`,
    );
  }
  names.set(value, name);
  return value;
}

/** Objects that their name and options make again. */
const data = new WeakSet<object>();

/** Marks what a name and options make again, as built-in activations; copies of it are not marked. */
export function asData<T extends { readonly name: string; readonly options: object }>(value: T): T {
  data.add(value);
  return value;
}

/** Was it made by `asData`? */
export function isData(
  value: object,
): value is { readonly name: string; readonly options: object } {
  return data.has(value);
}

/** The name that `named` gave, if any. */
export function nameOf(value: object): string | undefined {
  return names.get(value);
}
