/**
 * Frees what a function made on the way to its result.
 *
 * Left out: what no walk can see, such as private fields and what functions captured. `keep` is for that.
 */
import { requireFunction, requireSynchronous } from './checks.ts';
import { formatValue, ValueError } from './errors.ts';
import { closeScope, enterScope, inScope, leaveScope, openScope } from './scopes.ts';
import { Tensor } from './tensor.ts';

/**
 * Runs `fn` and disposes every tensor made meanwhile, except those that its result reaches: by arrays,
 * records, `Map`s, `Set`s and the public fields of anything else, however deep. Also when `fn` throws.
 * What functions captured, and private fields (`#`), are not seen: `keep` what they need, or its use is a
 * DisposedError.
 *
 * @throws ValueError unless `fn` is synchronous, and for a result that nobody can look into, such as an
 * iterator.
 * @example const y = tidy(() => add(exp(x), 1)); // exp(x) is freed
 */
export function tidy<T>(fn: () => T): T {
  requireFunction('tidy', 'fn', fn);
  openScope();
  const found = new Set<Tensor>();
  let kept: ReadonlySet<Disposable> = nothing;
  try {
    const result = fn();
    // A list of promises is as much of a promise, as what `map` makes of an async function.
    for (const part of Array.isArray(result) ? result : [result]) requireSynchronous('tidy', part);
    collectTensors(result, found);
    requireOpen(result);
    kept = found;
    return result;
  } finally {
    for (const made of closeScope()) {
      if (kept.has(made)) enterScope(made);
      else made[Symbol.dispose]();
    }
  }
}

/** Takes a tensor out of all scopes: from now on only `dispose()` frees it. */
export function keep<T extends Tensor>(t: T): T {
  leaveScope(t);
  return t;
}

/** Was it made in the innermost `tidy`, which frees it unless its result reaches it? */
export function isTemporary(t: Tensor): boolean {
  return inScope(t);
}

/**
 * All tensors that a value reaches: by arrays, records, `Map`s, `Set`s and public fields. A field whose
 * getter throws has none.
 *
 * @throws ValueError for what refuses to be looked into, such as a revoked proxy.
 */
export function collectTensors(value: unknown, into: Set<Tensor>): void {
  // Lists instead of recursion, for there is no limit to how deep a value is.
  const waiting: object[] = [];
  let seen: Set<object> | undefined;
  const visit = (part: unknown) => {
    if (!isObject(part)) return;
    if (part instanceof Tensor) into.add(part);
    else if (holdsParts(part) && part !== value && !seen?.has(part)) {
      seen ??= new Set();
      seen.add(part);
      waiting.push(part);
    }
  };
  try {
    if (value instanceof Tensor) into.add(value);
    else if (isObject(value) && holdsParts(value)) visitParts(value, visit);
    for (let next = waiting.pop(); next; next = waiting.pop()) visitParts(next, visit);
  } catch (cause) {
    throw new ValueError(
      'tidy: the result holds an object that refuses to be looked into; expected tensors in arrays, ' +
        'records, Maps, Sets or public fields.',
      { cause },
    );
  }
}

const nothing: ReadonlySet<Disposable> = new Set();

function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

/** Shapes and other numbers are most of what is no tensor, and hold nothing. */
function holdsParts(value: object): boolean {
  if (!Array.isArray(value)) return !ArrayBuffer.isView(value);
  // By index, for lists of numbers are long, and a function for each costs several times as much.
  for (let i = 0; i < value.length; i++) if (isObject(value[i])) return true;
  return false;
}

function visitParts(container: object, visit: (part: unknown) => void): void {
  if (Array.isArray(container)) {
    for (let i = 0; i < container.length; i++) visit(container[i]);
    return;
  }
  if (container instanceof Map) {
    container.forEach((part, key) => {
      visit(key);
      visit(part);
    });
  } else if (container instanceof Set) container.forEach(visit);
  const fields = container as Readonly<Record<string, unknown>>;
  for (const key in fields) visit(fieldOf(fields, key));
}

function fieldOf(fields: Readonly<Record<string, unknown>>, key: string): unknown {
  try {
    return fields[key];
  } catch {
    return undefined;
  }
}

/** What holds its parts where no walk can go, by the names that such objects have for themselves. */
const closed = /(Generator|Iterator|Iterator Helper|Weak\w+)\]$/;

/** @throws ValueError for a result that no walk can go through. */
function requireOpen(result: unknown): void {
  if (!isObject(result) || result instanceof Tensor || Array.isArray(result)) return;
  if (Object.getPrototypeOf(result) === Object.prototype) return;
  if (!closed.test(Object.prototype.toString.call(result))) return;
  throw new ValueError(
    `tidy: the function returned ${formatValue(result)}; expected tensors in arrays, records, Maps, ` +
      'Sets or public fields.',
  );
}
