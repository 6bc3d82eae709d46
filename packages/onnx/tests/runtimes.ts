/** Both onnxruntimes behind one function, and the comparison of their numbers with this library's. */
import type { Shape, Tensor } from '@invnet/tensor';
import * as native from 'onnxruntime-node';
import * as web from 'onnxruntime-web';
import { expect } from 'vitest';

web.env.wasm.numThreads = 1;

/** Numbers and their sizes. */
export interface Numbers {
  readonly data: Float32Array;
  readonly shape: Shape;
}

/** What a file computes, of tensors by name; those without a tensor are left out. */
export type Run = (
  inputs: Readonly<Record<string, Tensor | undefined>>,
) => Promise<Readonly<Record<string, Numbers>>>;

/** onnxruntime's native library, and the one of pages, on WebAssembly. Each opens a file. */
export const runtimes: Readonly<Record<string, (bytes: Uint8Array) => Promise<Run>>> = {
  'onnxruntime-node': opener(native),
  'onnxruntime-web': opener(web),
};

function opener({ InferenceSession, Tensor }: typeof native | typeof web) {
  return async (bytes: Uint8Array): Promise<Run> => {
    const session = await InferenceSession.create(bytes, { logSeverityLevel: 3 });
    return async (inputs) => {
      const feeds: Record<string, InstanceType<typeof Tensor>> = {};
      for (const [name, t] of Object.entries(inputs)) {
        if (t) feeds[name] = new Tensor('float32', await t.data(), t.shape);
      }
      const results = Object.entries(await session.run(feeds));
      return Object.fromEntries(
        results.map(([name, { data, dims }]) => {
          if (!(data instanceof Float32Array)) throw new Error(`${name} is no float32`);
          return [name, { data, shape: dims }];
        }),
      );
    };
  };
}

/**
 * Are they equal, relative to the largest? Determinants are equal where their logarithms are to so much, so
 * those of layers that cancel to a small logarithm count as 1; densities are held to it as they are. Gradients
 * are sums of many terms, and where the loss does not depend on a parameter they are rounding; so small ones
 * count as 1 as well.
 */
export async function expectEqual(
  found: Numbers | undefined,
  expected: Tensor,
  what: string,
): Promise<void> {
  expect(found?.shape, what).toEqual(expected.shape);
  const isGradient = what.endsWith('.grad');
  let size = isGradient || what.includes('logdet') ? 1 : 1e-30;
  let difference = 0;
  (await expected.data()).forEach((value, i) => {
    difference = Math.max(difference, Math.abs(value - found!.data[i]!));
    size = Math.max(size, Math.abs(value));
  });
  expect(difference / size, what).toBeLessThan(isGradient ? 5e-5 : 1e-5);
}
