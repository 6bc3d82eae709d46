/** What the tests share: central differences in tfjs, what it holds, and a backend that reads later only. */
import type { Parameter } from '@invnet/layers';
import { add, RandomStream, type Shape, tidy } from '@invnet/tensor';
import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';

/** Normal numbers in tfjs. */
export function normals(shape: Shape, seed: number): tf.Tensor {
  const size = shape.reduce((a, b) => a * b, 1);
  const values = Float32Array.from(new RandomStream(seed).normalArray(size));
  return tf.tensor(values, [...shape]);
}

/** Moves parameters off where they start, so that no gradient is zero by luck. */
export function moveOff(parameters: readonly Parameter[]): void {
  const random = new RandomStream(9);
  for (const p of parameters) {
    tidy(() => p.assign(add(p.data, random.normal(p.shape, 0.3))));
  }
}

/** Tensors, buffers and bytes of tfjs. */
export function hostMemory() {
  const { numTensors, numBytes, numDataBuffers } = tf.memory();
  return { numTensors, numBytes, numDataBuffers };
}

/**
 * How far the gradients of a loss in variables of tfjs are from central differences along random directions,
 * relative to the difference, or to 0.1 where that is smaller. The differences are those of `exact`, the same
 * loss in float64 of the variables' numbers: in float32 they would meet rounding or kinks.
 */
export function gradientErrors(
  loss: () => tf.Scalar,
  variables: readonly (readonly [string, tf.Variable])[],
  exact: (at: readonly Float64Array[]) => number,
): [string, number][] {
  const { value, grads } = tf.variableGrads(
    loss,
    variables.map(([, v]) => v),
  );
  const start = variables.map(([, v]) => Float64Array.from(v.dataSync()));
  const errors: [string, number][] = [
    ['the loss itself', Math.abs(value.dataSync()[0]! - exact(start))],
  ];
  variables.forEach(([name, v], i) => {
    const direction = new RandomStream(i + 20).normalArray(v.size);
    const at = (h: number) =>
      exact(
        start.with(
          i,
          start[i]!.map((number, j) => number + h * direction[j]!),
        ),
      );
    const difference = (at(1e-5) - at(-1e-5)) / 2e-5;
    const g = grads[v.name]?.dataSync() ?? [];
    const found = Array.from(g).reduce((sum, number, j) => sum + number * direction[j]!, 0);
    errors.push([name, Math.abs(found - difference) / Math.max(Math.abs(difference), 0.1)]);
  });
  tf.dispose([value, ...Object.values(grads)]);
  return errors;
}

/** A backend of tfjs, 'later', that cannot be read at once, as webgpu. */
export async function useLateBackend(): Promise<void> {
  class LateBackend extends MathBackendCPU {
    override readSync(): never {
      throw new Error('readSync is not supported here.');
    }
  }
  tf.registerBackend('later', () => new LateBackend());
  tf.copyRegisteredKernels('cpu', 'later');
  await tf.setBackend('later');
}
