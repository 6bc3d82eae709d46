import { Parameter } from '@invnet/layers';
import { memory, setBackend, tensor, ValueError } from '@invnet/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { CheckpointError, Sgd } from '../src/index.ts';

beforeAll(() => setBackend('reference', { dtype: 'float64' }));

const gradientAt = (step: number, i: number) => Math.sin(1.7 * step + i) * (i + 1);

function update(sgd: Sgd, p: Parameter, step: number, gradientScale = 1): void {
  using g = tensor(
    Array.from({ length: p.size }, (_, i) => gradientAt(step, i)),
    p.shape,
  );
  p.accumulateGrad(g);
  sgd.step([p], { learningRate: 0.01, gradientScale });
  p.zeroGrad();
}

describe('Sgd', () => {
  it.each([
    { momentum: 0.8, weightDecay: 0.1 },
    { momentum: 0.8, weightDecay: 0.1, nesterov: true },
    { momentum: 0.5, nesterov: true },
    { momentum: 0 },
  ])('does what its formulas say, %o', (options) => {
    const { momentum, weightDecay = 0, nesterov = false } = options;
    const [sgd, scale] = [new Sgd(options), 0.5];
    const p = new Parameter('p', tensor([1, -2, 3]));
    const [x, v] = [
      [1, -2, 3],
      [0, 0, 0],
    ];
    for (let t = 1; t <= 20; t++) {
      update(sgd, p, t, scale);
      for (let i = 0; i < 3; i++) {
        const g = scale * gradientAt(t, i) + weightDecay * x[i]!;
        v[i] = momentum * v[i]! + g;
        x[i]! -= 0.01 * (nesterov ? g + momentum * v[i]! : v[i]!);
      }
    }
    const found = p.data.dataSync();
    for (let i = 0; i < 3; i++) expect(Math.abs(found[i]! / x[i]! - 1)).toBeLessThan(1e-12);
  });

  it('goes on from a saved state bit for bit, and checks it before', async () => {
    const one = { sgd: new Sgd(), p: new Parameter('p', tensor([1, 2])) };
    for (let t = 1; t <= 3; t++) update(one.sgd, one.p, t);
    const state = await one.sgd.state([one.p]);
    const two = { sgd: new Sgd(), p: new Parameter('p', tensor([...one.p.data.dataSync()])) };
    two.sgd.load(state, [two.p]);
    for (let t = 4; t <= 6; t++) {
      update(one.sgd, one.p, t);
      update(two.sgd, two.p, t);
    }
    expect(two.p.data.dataSync()).toEqual(one.p.data.dataSync());
    const other = new Parameter('p', tensor([1, 2, 3]));
    expect(() => new Sgd().load(state, [other])).toThrow(CheckpointError);
    expect(() => new Sgd().load(state, [other])).toThrow(/Sgd: .*v\/p has \[2\], expected \[3\]/);
  });

  it('leaves frozen parameters and those without a gradient alone, and frees its directions', () => {
    const sgd = new Sgd({ weightDecay: 1 });
    const [idle, frozen, moved] = [1, 2, 3].map((x) => new Parameter(`p${x}`, tensor([x])));
    using g = tensor([1]);
    frozen!.accumulateGrad(g);
    frozen!.frozen = true;
    const before = memory().liveBytes;
    sgd.step([idle!, frozen!], { learningRate: 0.1 });
    expect([...idle!.data.dataSync(), ...frozen!.data.dataSync()]).toEqual([1, 2]);
    update(sgd, moved!, 1);
    expect(memory().liveBytes).toBe(before + 8);
    sgd.dispose();
    expect(memory().liveBytes).toBe(before);
  });

  it.each([
    { momentum: 1 },
    { momentum: -0.1 },
    { weightDecay: -1 },
    { nesterov: 1 },
    { lr: 0.1 },
    { dampening: 0 },
  ])('refuses %o', (options) => {
    expect(() => new Sgd(options as object)).toThrow(ValueError);
  });
});
