/** Frees what a function made on the way to its result. */
import { BackendError } from './errors.ts';
import { closeScope, enterScope, leaveScope, openScope } from './scopes.ts';
import { Tensor } from './tensor.ts';

/**
 * Runs `fn` and disposes every tensor made meanwhile, except those in its result: a tensor, or
 * arrays and plain objects of them. Also when `fn` throws. `fn` must be synchronous.
 *
 * @example const y = tidy(() => add(exp(x), 1)); // exp(x) is freed
 */
export function tidy<T>(fn: () => T): T {
  openScope();
  const kept = new Set<Tensor>();
  try {
    const result = fn();
    if (result instanceof Promise) {
      throw new BackendError('tidy: the function returned a promise; expected a synchronous one.');
    }
    collectTensors(result, kept);
    return result;
  } finally {
    const survives: ReadonlySet<Disposable> = kept;
    for (const made of closeScope()) {
      if (survives.has(made)) enterScope(made);
      else made[Symbol.dispose]();
    }
  }
}

/** Takes a tensor out of all scopes: from now on only `dispose()` frees it. */
export function keep<T extends Tensor>(t: T): T {
  leaveScope(t);
  return t;
}

/** All tensors in a value made of tensors, arrays, maps and plain objects. */
export function collectTensors(value: unknown, into: Set<Tensor>): void {
  if (value === null || typeof value !== 'object') return;
  if (value instanceof Tensor) {
    into.add(value);
  } else if (Array.isArray(value)) {
    for (const v of value) collectTensors(v, into);
  } else if (value instanceof Map) {
    for (const v of value.values()) collectTensors(v, into);
  } else if (Object.getPrototypeOf(value) === Object.prototype) {
    for (const v of Object.values(value)) collectTensors(v, into);
  }
}
