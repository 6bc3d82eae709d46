/** What every operation checks of its operands before a backend sees them. */
import type { Backend, Shape, Storage } from '../backend.ts';
import { BackendError, DTypeError } from '../errors.ts';
import { requireTensor, Tensor } from '../tensor.ts';

/** @throws ValueError, BackendError, DTypeError unless all operands are tensors of one backend and dtype. */
export function commonBackend(op: string, first: Tensor, ...others: Tensor[]): Backend {
  requireTensor(op, first);
  for (const t of others) {
    requireTensor(op, t);
    if (t.backend !== first.backend) {
      throw new BackendError(
        `${op}: operands live on two backends, ${first.backend.name} and ${t.backend.name}; ` +
          'make both after one setBackend.',
      );
    }
    if (t.dtype !== first.dtype) {
      throw new DTypeError(`${op}: operands have two dtypes, ${first.dtype} and ${t.dtype}.`);
    }
  }
  return first.backend;
}

/** A tensor over the storage that an operation made. */
export function wrap(shape: Shape, backend: Backend, storage: Storage): Tensor {
  return new Tensor(shape, backend, storage);
}
