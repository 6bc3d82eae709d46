/**
 * Runs the methods of modules: frees all that a call made but for its result, also when it throws,
 * and says in an error at which path of the network it arose. Calls within calls are told apart from
 * those that come from outside, whose arguments are checked.
 */
import { clone, InvNetError, requireFunction, type Tensor, tidy } from '@invnet/tensor';
import { type Module, placesIn, requireModule } from '../tree/module.ts';
import { mapState, type State } from './state.ts';

/** How many guarded calls are under way. Calls are synchronous, so they nest. */
let depth = 0;

/** The modules that an error passed on its way out, the innermost first. */
const trails = new WeakMap<InvNetError, Module[]>();

/** Runs `body`, a method of `module`; `outermost` says that no other module called it. */
export function guarded<T>(module: Module, body: (outermost: boolean) => T): T {
  return traceErrors(module, (outermost) => tidy(() => body(outermost)));
}

/** As `guarded`, for what makes no tensors. */
export function traceErrors<T>(module: Module, body: (outermost: boolean) => T): T {
  const outermost = depth === 0;
  depth += 1;
  try {
    return body(outermost);
  } catch (error) {
    traced(error, module);
    if (outermost) locate(error, module);
    throw error;
  } finally {
    depth -= 1;
  }
}

/**
 * Runs `body` as a method of a module of one's own that is neither a bijection nor a conditioner, or has methods
 * beside theirs: what it makes is freed but for what its result reaches, also when it throws, and errors of parts
 * end with their place in the module.
 *
 * @example
 * energy(x: Tensor) {
 *   return asMethod(this, () => sumPerSample(square(this.network.forward(x).y)));
 * }
 */
export function asMethod<T>(module: Module, body: () => T): T {
  requireModule('asMethod', module);
  requireFunction('asMethod', 'body', body);
  return guarded(module, body);
}

/** The state, with copies in place of tensors that the caller gave: a result belongs to the caller. */
export function owned<S extends State>(state: S, given: readonly (Tensor | undefined)[]): S {
  return mapState(state, (t) => (given.includes(t) ? clone(t) : t));
}

function traced(error: unknown, module: Module): void {
  if (!(error instanceof InvNetError)) return;
  const trail = trails.get(error) ?? [];
  trail.push(module);
  trails.set(error, trail);
}

/** Adds the path of the innermost module that stands in the tree of `root`. */
function locate(error: unknown, root: Module): void {
  const trail = error instanceof InvNetError ? trails.get(error) : undefined;
  if (!(error instanceof InvNetError) || !trail) return;
  const paths = new Map([...placesIn(root)].map(({ module, path }) => [module, path]));
  const path = trail.map((m) => paths.get(m)).find((p) => p !== undefined);
  if (!path) return;
  // The stack is read first, because engines write the message into it when it is read.
  const { message, stack } = error;
  error.message = `${message} (at '${path}' of ${root.type})`;
  if (stack) error.stack = stack.replace(message, () => error.message);
}
