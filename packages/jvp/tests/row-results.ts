/** All that a row computes on given inputs, as arrays: shared by the process that saves and the one that loads. */
import { type Bijection, zeroGrad } from '@invnet/layers';
import { Tensor, tensor } from '@invnet/tensor';
import type { HostTensor, Safetensors } from '@invnet/train';

/** What a row is asked about. */
export interface RowInputs {
  readonly x: Tensor;
  readonly dy: Tensor;
  readonly context: Tensor | undefined;
}

/** The inputs as a file holds them, on the current backend. */
export function tensorsOfFile({ tensors }: Safetensors): RowInputs {
  const find = (name: string) => {
    const found = tensors.get(name);
    return found && tensor(found.data, found.shape);
  };
  return { x: find('x')!, dy: find('dy')!, context: find('context') };
}

/** Outputs, log-determinants, recomputed inputs and gradients. */
export async function computedBy(
  f: Bijection,
  { x, dy, context }: RowInputs,
): Promise<Map<string, HostTensor>> {
  const { y, logdet } = f.forward(x, context);
  const inverse = f.inverse(y, context);
  const backward = f.backward(y, dy.reshape(y.shape), { dlogdet: logdet, context });
  const found: Record<string, unknown> = { y, logdet, 'inverse.x': inverse.x, ...backward };
  for (const p of f.parameters) found[`${p.name}.grad`] = p.grad;
  const results = new Map<string, HostTensor>();
  for (const [name, t] of Object.entries(found)) {
    if (t instanceof Tensor) results.set(name, { shape: t.shape, data: await t.data() });
  }
  zeroGrad(f.parameters);
  return results;
}
