/** Parameters: what they gather, and lists of them as vectors. */
import { ones, ShapeError, setBackend, tensor, zeros } from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  addVectors,
  dotVectors,
  flatten,
  gradients,
  normOfVector,
  Parameter,
  scaleVector,
  unflatten,
} from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

describe('parameters', () => {
  it('are a vector space', async () => {
    const a = [tensor([1, 2]), tensor([[3]])];
    const b = [tensor([4, 5]), tensor([[6]])];
    expect(await dotVectors(a, b)).toBe(32);
    expect(await normOfVector([tensor([3, 4])])).toBe(5);
    expect([...flatten(addVectors(a, b, 2)).dataSync()]).toEqual([9, 12, 15]);
    expect([...flatten(scaleVector(a, -1)).dataSync()]).toEqual([-1, -2, -3]);
    const back = unflatten(tensor([7, 8, 9]), a);
    expect(back.map((t) => t.shape)).toEqual([[2], [1, 1]]);
    expect([...back[1]!.dataSync()]).toEqual([9]);
    expect(() => unflatten(tensor([1]), a)).toThrow(ShapeError);
  });

  it('tells a watcher, under any of its names, whenever its gradient grows', () => {
    const p = new Parameter('p', ones([2]));
    let grown = 0;
    new Parameter('net.p', p).watchGrad(() => {
      grown += 1;
    });
    p.takeGrad(ones([2]));
    p.accumulateGrad(ones([2]));
    p.frozen = true;
    p.accumulateGrad(ones([2]));
    p.zeroGrad();
    expect(grown).toBe(2);
    p.frozen = false;
    p.watchGrad(undefined);
    p.accumulateGrad(ones([2]));
    expect(grown).toBe(2);
  });

  it('take gradients over, and free those that they do not need', () => {
    const p = new Parameter('p', ones([2]));
    const first = ones([2]);
    p.takeGrad(first);
    expect(p.grad).toBe(first);
    const second = ones([2]);
    p.takeGrad(second);
    expect(second.disposed).toBe(true);
    expect([...p.grad!.dataSync()]).toEqual([2, 2]);
    p.frozen = true;
    const third = ones([2]);
    p.takeGrad(third);
    expect(third.disposed).toBe(true);
    expect([...p.grad!.dataSync()]).toEqual([2, 2]);
    p.frozen = false;
    p.zeroGrad();
    expect(() => p.takeGrad(ones([3]))).toThrow(ShapeError);
  });

  it('accumulate gradients until they are cleared', () => {
    const p = new Parameter('p', zeros([2]));
    p.accumulateGrad(ones([2]));
    p.accumulateGrad(ones([2]), 2);
    expect([...gradients([p])[0]!.dataSync()]).toEqual([3, 3]);
    p.zeroGrad();
    expect(p.grad).toBeUndefined();
  });
});
