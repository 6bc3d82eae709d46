/**
 * The numbers of a tensor where they lie, for code outside of this library that reads or writes them without a copy.
 *
 * Left out: views that outlive a call. Memory may grow, which detaches all views of it, or be given to another
 * tensor.
 */
import type { NumericArray } from './backend.ts';
import { requireFunction, requireSynchronous } from './checks.ts';
import { BackendError } from './errors.ts';
import { requireTensor, type Tensor } from './tensor.ts';

/**
 * Calls `use` with the numbers of a tensor themselves, row-major, after everything that they depend on has run; what is
 * written into them is in the tensor. They are `use`'s until it returns, and it must be synchronous and make no
 * tensors and no operations in the meantime.
 *
 * @throws BackendError on a device whose memory the host cannot reach, where `data()` copies; and when `use` made
 * memory grow, so that what it wrote may be lost.
 * @example withNumbers(p.grad, (numbers) => communicator.sum(numbers)); // in place
 */
export function withNumbers<T>(t: Tensor, use: (numbers: NumericArray) => T): T {
  const { backend, storage, size } = requireTensor('withNumbers', t);
  requireFunction('withNumbers', 'use', use);
  if (!backend.view) {
    throw new BackendError(
      `withNumbers: the numbers of a tensor on ${backend.name} cannot be reached; expected one on wasm, native or ` +
        'reference. `await t.data()` copies them.',
    );
  }
  const numbers = backend.view(storage);
  const result = use(numbers);
  requireSynchronous('withNumbers', result);
  if (numbers.length === size) return result;
  throw new BackendError(
    'withNumbers: memory grew while the numbers were in use; expected a function that makes no tensors.',
  );
}
