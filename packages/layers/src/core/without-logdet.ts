/** Calls whose log-determinants nobody reads, as those of sampling. */
import { requireFunction } from '@invnet/tensor';

let unread = 0;

/**
 * Runs `fn`, in which log-determinants may be left out: layers that pay for them, such as a `ContinuousFlow`, give
 * zeros in their place. States are the same.
 *
 * @example
 * const { x } = withoutLogdet(() => network.inverse(z)); // how a flow samples
 */
export function withoutLogdet<T>(fn: () => T): T {
  requireFunction('withoutLogdet', 'fn', fn);
  unread += 1;
  try {
    return fn();
  } finally {
    unread -= 1;
  }
}

/** Does somebody read the log-determinant of the call that is under way? */
export function logdetIsRead(): boolean {
  return unread === 0;
}
