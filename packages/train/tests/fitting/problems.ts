/** Small problems to fit, whose answer is known. */
import type { Rows } from '@invnet/datasets';
import { Flow } from '@invnet/flows';
import { Glow, maskedAutoregressiveFlow } from '@invnet/networks';
import { RandomStream } from '@invnet/tensor';

/** x = 5 + 3a, −1000 + 0.01(a + ½b): far from standardized, and correlated. Its entropy per row is `entropy`. */
export function correlatedRows(count: number, seed = 1): Rows {
  const noise = new RandomStream(seed).normalArray(2 * count);
  const data = new Float64Array(2 * count);
  for (let n = 0; n < count; n++) {
    const [a, b] = [noise[2 * n]!, noise[2 * n + 1]!];
    data[2 * n] = 5 + 3 * a;
    data[2 * n + 1] = -1000 + 0.01 * (a + 0.5 * b);
  }
  return { x: { shape: [count, 2], data } };
}

/** Of a normal distribution whose covariance has the determinant (3 · 0.01 · ½)². */
export const entropy = Math.log(2 * Math.PI * Math.E) + Math.log(3 * 0.01 * 0.5);

/** x = context + 5 · noise, for contexts far from standardized. */
export function conditionalRows(count: number, seed = 1): Rows {
  const random = new RandomStream(seed);
  const [wide, noise] = [random.normalArray(2 * count), random.normalArray(2 * count)];
  const context = Float64Array.from(wide, (value) => 100 + 10 * value);
  const data = context.map((value, i) => value + 5 * noise[i]!);
  return { x: { shape: [count, 2], data }, context: { shape: [count, 2], data: context } };
}

export function smallFlow(seed = 3): Flow {
  const random = new RandomStream(seed);
  return new Flow({
    network: new Glow({ channels: 2, ndims: 0, hidden: 8, scales: 1, steps: 3, random }),
  });
}

export function conditionalFlow(): Flow {
  return autoregressiveFlow({ contextChannels: 2 });
}

/** A flow whose numbers do not depend on data before they are trained. */
export function autoregressiveFlow(options: { readonly contextChannels?: number } = {}): Flow {
  const sizes = { channels: 2, hidden: [16], transforms: 2, random: new RandomStream(3) };
  return new Flow({ network: maskedAutoregressiveFlow({ ...sizes, ...options }) });
}
