/** What the programs print: how far two tensors are from each other. */
import type { Tensor } from '@invnet/tensor';

/** Prints max|a − b|. */
export async function report(what: string, a: Tensor, b: Tensor): Promise<void> {
  const [left, right] = [await a.data(), await b.data()];
  let worst = 0;
  left.forEach((v: number, i: number) => {
    worst = Math.max(worst, Math.abs(v - right[i]!));
  });
  console.log(`${what}: largest difference ${worst.toExponential(1)}`);
}
