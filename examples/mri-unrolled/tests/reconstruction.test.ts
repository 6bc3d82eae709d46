/** The loss's gradients, the kinds of imaging, and that a short training is on its way. */
import { assertAdjoint, operatorOf } from '@invnet/jvp';
import { zeroGrad } from '@invnet/layers';
import {
  assign,
  memory,
  RandomStream,
  setBackend,
  sub,
  sumSquares,
  type Tensor,
  tensor,
} from '@invnet/tensor';
import { Adam, train, warmupCosine } from '@invnet/train';
import { drawSlices, loadHead } from 'brain-mri';
import { afterEach, expect, test } from 'vitest';
import { CartesianMri } from '../src/cartesian-mri.ts';
import { compareMethods, meanQuality } from '../src/evaluation.ts';
import { measureMemory } from '../src/memory.ts';
import { disposeScan, type Modality, type Scan } from '../src/modality.ts';
import { buildLoop } from '../src/model.ts';
import { ParallelBeamCt } from '../src/parallel-beam-ct.ts';
import { reconstruct, reconstructionLoss, turned } from '../src/reconstruction.ts';

afterEach(() => setBackend('reference'));

const sizes = { iterations: 2, memory: 4, hidden: 6, stride: 4 };
const solverOf = (modality: Modality, config = sizes) => ({
  modality,
  memory: config.memory,
  loop: buildLoop(config, { ...modality, random: new RandomStream(1) }),
});
const blobs = () => new RandomStream(2).uniform([2, 16, 16], 0.2, 1);

const modalities = {
  'magnetic resonance': () => new CartesianMri({ size: 16, acceleration: 2 }),
  tomography: () => new ParallelBeamCt({ size: 16, views: 8 }),
};

for (const [name, modality] of Object.entries(modalities)) {
  test(`${name}: adjoint, scans, and gradients of the loss by central differences`, async () => {
    await setBackend('reference', { dtype: 'float64' });
    const solver = solverOf(modality());
    using magnitudes = blobs();
    const scan = await solver.modality.scan(magnitudes, new RandomStream(3));
    await assertAdjoint(operatorOf(solver.modality.operator, 2), { tolerance: 1e-11 });
    for (const part of [0, 0.5]) {
      const value = async () => {
        using loss = reconstructionLoss(solver, scan, part);
        return (await loss.data())[0]!;
      };
      const { parameters } = solver.loop;
      zeroGrad(parameters);
      await value();
      const chosen = [parameters[0]!, parameters.at(-3)!, parameters.at(-1)!];
      const gradients = await Promise.all(
        chosen.map(async (p) => Array.from(await p.grad!.data())),
      );
      for (const [k, parameter] of chosen.entries()) {
        const gradient = gradients[k]!;
        const data = Float64Array.from(await parameter.data.data());
        const at = gradient.reduce((k, g, i) => (Math.abs(g) > Math.abs(gradient[k]!) ? i : k), 0);
        const shifted = async (by: number) => {
          using there = tensor(
            data.map((v, i) => (i === at ? v + by : v)),
            parameter.data.shape,
          );
          assign(parameter.data, there);
          return value();
        };
        const slope = ((await shifted(1e-5)) - (await shifted(-1e-5))) / 2e-5;
        await shifted(0);
        expect(slope).toBeCloseTo(gradient[at]!, 6);
      }
    }
    disposeScan(scan);
  });
}

test('data whose phase is turned have the images turned', async () => {
  await setBackend('reference', { dtype: 'float64' });
  const solver = solverOf(modalities['magnetic resonance']());
  using magnitudes = blobs();
  const scan = await solver.modality.scan(magnitudes, new RandomStream(3));
  using images = reconstruct(solver, scan);
  for (const quarters of [1, 2, 3]) {
    using data = turned(scan.data, quarters);
    using start = turned(scan.start, quarters);
    using found = reconstruct(solver, { ...scan, data, start });
    using difference = sub(found, turned(images, quarters));
    using error = sumSquares(difference);
    expect((await error.data())[0]).toBeLessThan(1e-20);
  }
  disposeScan(scan);
});

test('measured lines are put back, and nothing is left behind', async () => {
  await setBackend('wasm');
  const solver = solverOf(modalities['magnetic resonance']());
  using magnitudes = blobs();
  const scan = await solver.modality.scan(magnitudes, new RandomStream(3));
  const before = memory().liveBytes;
  {
    using images = reconstruct(solver, scan);
    using data = solver.modality.operator.forward(images);
    const [found, measured] = [await data.data(), await scan.data.data()];
    for (let i = 0; i < found.length; i++) expect(found[i]).toBeCloseTo(measured[i]!, 4);
  }
  expect(memory().liveBytes).toBe(before);
  const measured = measureMemory({ ...sizes, iterations: 4 }, solver.modality, scan);
  expect(memory().liveBytes).toBe(before);
  const [short, , long] = measured.map((m) => m.peakBytes - m.parameterBytes);
  expect(long! / short!).toBeLessThan(1.02);
  disposeScan(scan);
});

test('fifty steps beat zero-filling by 0.5 dB on slices that were held out', async () => {
  await setBackend('wasm', { threads: 1 });
  const head = await loadHead();
  const modality = new CartesianMri({ size: 48, acceleration: 4 });
  const solver = solverOf(modality, { iterations: 4, memory: 10, hidden: 16, stride: 1 });
  async function* batches(): AsyncGenerator<Scan> {
    for (let step = 0; step < 50; step++) {
      const random = new RandomStream(5, step * 2 ** 20);
      using slices = drawSlices(head, { count: 4, size: 48, split: 'train', random });
      yield await modality.scan(slices, random);
    }
  }
  const { parameters } = solver.loop;
  const schedule = warmupCosine({ rate: 1e-2, warmup: 10, steps: 50 });
  const loss = (scan: Scan): Tensor => reconstructionLoss(solver, scan, 0);
  const optimizer = new Adam();
  const options = { parameters, optimizer, loss, schedule, clipNorm: 1, disposeBatch: disposeScan };
  for await (const _ of train({ ...options, batches: batches() }));
  const random = new RandomStream(6);
  using slices = drawSlices(head, { count: 6, size: 48, split: 'held-out', random });
  const scan = await modality.scan(slices, random);
  const compared = await compareMethods(solver, scan, new AbortController().signal);
  disposeScan(scan);
  const psnr = (method: 'classical' | 'loop' | 'totalVariation') =>
    meanQuality(compared.map((slice) => slice[method].quality)).psnr;
  expect(psnr('loop') - psnr('classical')).toBeGreaterThan(0.5);
  expect(psnr('totalVariation') - psnr('classical')).toBeGreaterThan(1);
}, 120_000);
