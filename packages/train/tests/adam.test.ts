import { Parameter } from '@invnet/layers';
import { memory, setBackend, tensor, ValueError } from '@invnet/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { Adam, CheckpointError } from '../src/index.ts';

beforeAll(() => setBackend('reference', { dtype: 'float64' }));

const gradientAt = (step: number, i: number) => Math.sin(1.7 * step + i) * (i + 1);

function update(adam: Adam, p: Parameter, step: number, gradientScale = 1): void {
  using g = tensor(
    Array.from({ length: p.size }, (_, i) => gradientAt(step, i)),
    p.shape,
  );
  p.accumulateGrad(g);
  adam.step([p], { learningRate: 0.01, gradientScale });
  p.zeroGrad();
}

describe('Adam', () => {
  it('does what the paper says', () => {
    const [beta1, beta2, epsilon, scale] = [0.8, 0.95, 1e-6, 0.5];
    const adam = new Adam({ beta1, beta2, epsilon });
    const p = new Parameter('p', tensor([1, -2, 3]));
    const x = [1, -2, 3];
    const m = [0, 0, 0];
    const v = [0, 0, 0];
    for (let t = 1; t <= 20; t++) {
      update(adam, p, t, scale);
      for (let i = 0; i < 3; i++) {
        const g = scale * gradientAt(t, i);
        m[i] = beta1 * m[i]! + (1 - beta1) * g;
        v[i] = beta2 * v[i]! + (1 - beta2) * g * g;
        x[i]! -=
          (0.01 * (m[i]! / (1 - beta1 ** t))) / (Math.sqrt(v[i]! / (1 - beta2 ** t)) + epsilon);
      }
    }
    const found = p.data.dataSync();
    for (let i = 0; i < 3; i++) expect(Math.abs(found[i]! / x[i]! - 1)).toBeLessThan(1e-12);
  });

  it('leaves frozen parameters and those without a gradient alone', () => {
    const adam = new Adam();
    const idle = new Parameter('idle', tensor([1]));
    const frozen = new Parameter('frozen', tensor([2]));
    using g = tensor([1]);
    frozen.accumulateGrad(g);
    frozen.frozen = true;
    adam.step([idle, frozen], { learningRate: 0.1 });
    expect([...idle.data.dataSync(), ...frozen.data.dataSync()]).toEqual([1, 2]);
  });

  it('counts the updates of each parameter by itself', () => {
    const adam = new Adam();
    const early = new Parameter('early', tensor([1]));
    const late = new Parameter('late', tensor([1]));
    const alone = new Adam();
    const twin = new Parameter('twin', tensor([1]));
    for (let t = 1; t <= 5; t++) update(adam, early, t);
    update(adam, late, 9);
    update(alone, twin, 9);
    expect(late.data.dataSync()).toEqual(twin.data.dataSync());
  });

  it('goes on from a saved state bit for bit', async () => {
    const one = { adam: new Adam(), p: new Parameter('p', tensor([1, 2])) };
    for (let t = 1; t <= 3; t++) update(one.adam, one.p, t);
    const two = { adam: new Adam(), p: new Parameter('p', tensor([...one.p.data.dataSync()])) };
    two.adam.load(await one.adam.state([one.p]), [two.p]);
    for (let t = 4; t <= 6; t++) {
      update(one.adam, one.p, t);
      update(two.adam, two.p, t);
    }
    expect(two.p.data.dataSync()).toEqual(one.p.data.dataSync());
  });

  it('checks a state before it takes it', async () => {
    const adam = new Adam();
    const p = new Parameter('p', tensor([1, 2]));
    update(adam, p, 1);
    const before = await adam.state([p]);
    const other = new Parameter('p', tensor([1, 2, 3]));
    const otherAdam = new Adam();
    update(otherAdam, other, 1);
    const foreign = await otherAdam.state([other]);
    expect(() => adam.load(foreign, [p])).toThrow(CheckpointError);
    expect(() => adam.load(foreign, [p])).toThrow(/m\/p has \[3\], expected \[2\]/);
    const partial = new Map([...before].filter(([name]) => name !== 'v/p'));
    expect(() => adam.load(partial, [p])).toThrow(/it lacks v\/p \[2\]/);
    expect(await adam.state([p])).toEqual(before);
  });

  it('says where a learning rate belongs, and knows each parameter once', () => {
    for (const name of ['lr', 'learningRate', 'rate']) {
      const make = () => new Adam({ [name]: 1e-3 });
      expect(make).toThrow(
        /schedule: constant\(1e-3\), or with each step\(parameters, \{ learningRate/,
      );
    }
    expect(() => new Adam({ beta3: 0.5 } as never)).toThrow(/no option 'beta3'.*'beta1', 'beta2'/);
    const p = new Parameter('p', tensor([1]));
    expect(() => new Adam().step([p, p], { learningRate: 1 })).toThrow(/'p' is in the list twice/);
    // @ts-expect-error: a rate is needed.
    expect(() => new Adam().step([p], {})).toThrow(/learningRate is undefined/);
  });

  it('frees its moments', () => {
    const adam = new Adam();
    const p = new Parameter('p', tensor([1, 2]));
    const before = memory().liveBytes;
    update(adam, p, 1);
    expect(memory().liveBytes).toBe(before + 2 * 2 * 8);
    adam.dispose();
    expect(memory().liveBytes).toBe(before);
  });

  it.each([{ beta1: 1 }, { beta2: -0.1 }, { epsilon: 0 }, { beta1: Number.NaN }])(
    'refuses %o',
    (options) => {
      expect(() => new Adam(options)).toThrow(ValueError);
    },
  );
});
