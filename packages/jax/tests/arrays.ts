/** What the tests make of numbers, and ask of arrays and gradients. */
import type { DType, RandomStream } from '@invnet/tensor';
import { numpy as np, tree } from '@jax-js/jax';
import type { JaxOperation, JaxTree } from '../src/index.ts';

/** Normal numbers in an array. */
export function normal(random: RandomStream, shape: number[], dtype: DType = 'float32'): np.Array {
  const numbers = random.normalArray(shape.reduce((a, b) => a * b, 1));
  const values = dtype === 'float32' ? Float32Array.from(numbers) : Float64Array.from(numbers);
  return np.array(values, { shape });
}

/** All numbers of a tree, which stays. */
export function numbersOf(values: JaxTree): number[] {
  return tree.leaves(values).flatMap((a: np.Array) => Array.from(a.ref.dataSync()));
}

/** The tree a + t·b; both stay. */
function moved(a: JaxTree, t: number, b: JaxTree): JaxTree {
  return tree.map((x: np.Array, y: np.Array) => x.ref.add(y.ref.mul(t)), a, b);
}

/**
 * How far gradients of a scalar function, along themselves, are from central differences and from `jvp`, relative to
 * their size; in all arguments at once.
 */
export function gradientErrors(f: JaxOperation, primals: JaxTree[], h: number): [number, number] {
  const at = () => tree.ref(primals);
  const value = (t: number, d: JaxTree[]) => {
    const [params, ...inputs] = moved(primals, t, d) as JaxTree[];
    return numbersOfOnce(f.apply(params!, ...inputs))[0]!;
  };
  const [loss, back] = f.vjp(at());
  tree.dispose(loss);
  const gradient = back(np.ones([], { dtype: tree.leaves(primals)[0]!.dtype })) as JaxTree[];
  back.dispose();
  const size = Math.hypot(...numbersOf(gradient));
  const direction = tree.map((g: np.Array) => g.mul(1 / size), gradient);
  const difference = (value(h, direction) - value(-h, direction)) / (2 * h);
  const [y, dy] = f.jvp(at(), tree.ref(direction));
  tree.dispose(y);
  const [tangent] = numbersOfOnce(dy);
  tree.dispose(direction);
  return [Math.abs(difference / size - 1), Math.abs(tangent! / size - 1)];
}

function numbersOfOnce(values: JaxTree): number[] {
  const numbers = numbersOf(values);
  tree.dispose(values);
  return numbers;
}
