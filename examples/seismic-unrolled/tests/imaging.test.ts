/** The physics, the loss's gradients, files of the user's, and that a short training beats LSQR. */
import '@invnet/native';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SegyFormatError } from '@invnet/datasets/segy';
import { assertAdjoint, operatorOf } from '@invnet/jvp';
import { zeroGrad } from '@invnet/layers';
import {
  add,
  affine,
  assign,
  memory,
  mul,
  RandomStream,
  setBackend,
  sum,
  type Tensor,
} from '@invnet/tensor';
import { Adam, train, warmupCosine } from '@invnet/train';
import { FlagError } from 'example-kit';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Case, disposeCase, simulate } from '../src/cases.ts';
import { drawEarth } from '../src/earth.ts';
import { type Comparison, compareMethods, summaryOf } from '../src/evaluation.ts';
import { readSections } from '../src/marmousi.ts';
import { mediumOf } from '../src/medium.ts';
import { buildLoop } from '../src/model.ts';
import { reconstruct, reconstructionLoss } from '../src/reconstruction.ts';
import { Survey } from '../src/survey.ts';

afterEach(() => setBackend('reference'));

const small = { size: [24, 40], steps: 161, peakFrequency: 0.012 } as const;
const sizes = { iterations: 2, state: 4, hidden: 6 };

function solverOf(survey: Survey, config = sizes) {
  const loop = buildLoop(config, { survey, random: new RandomStream(1) });
  return { loop, ...config, survey };
}

function draw(survey: Survey, seed: number): Promise<Case> {
  const random = new RandomStream(seed);
  return simulate(survey, drawEarth(survey.size, random), random);
}

test('a medium is its background and a change, none of it in the water', () => {
  const [height, width] = [12, 20];
  const velocity = Float32Array.from({ length: height * width }, (_, i) =>
    i < 3 * width ? 1.5 : 2 + (i % 7) / 7,
  );
  // Slower than water, and yet rock.
  velocity[5 * width + 4] = 1.1;
  const { background, change, rock } = mediumOf(velocity, [height, width]);
  expect(Array.from(rock)).toEqual(Array.from(velocity, (_, i) => (i < 3 * width ? 0 : 1)));
  for (let i = 0; i < velocity.length; i++) {
    expect(background[i]! + change[i]!).toBeCloseTo(1 / velocity[i]! ** 2, 6);
    if (!rock[i]) expect(change[i]).toBe(0);
    else expect(background[i]).toBeLessThan(0.3);
  }
});

test('the adjoint is exact for each physics, and the loss has the slope of central differences', async () => {
  await setBackend('reference', { dtype: 'float64' });
  using survey = new Survey({ size: [8, 12], steps: 41, peakFrequency: 0.03 });
  const solver = solverOf(survey, { iterations: 1, state: 4, hidden: 4 });
  const layers = (thickness: number) =>
    Float32Array.from({ length: 8 * 12 }, (_, i) => {
      const row = Math.floor(i / 12);
      return row < 3 ? 1.5 : 1.7 + 0.3 * Math.floor((row + (i % 12) / 6) / thickness);
    });
  const one = await simulate(survey, layers(2), new RandomStream(1));
  const other = await simulate(survey, layers(3), new RandomStream(2));
  for (const { physics } of [other, one]) {
    survey.physics = physics;
    await assertAdjoint(operatorOf(survey), { tolerance: 1e-11, trials: 1 });
  }
  const value = async () => {
    using loss = reconstructionLoss(solver, one);
    return (await loss.data())[0]!;
  };
  const random = new RandomStream(3);
  const along = solver.loop.parameters.map((p) => ({ p, direction: random.normal(p.data.shape) }));
  const shift = (by: number) => {
    for (const { p, direction } of along) assign(p.data, add(p.data, affine(direction, by)));
  };
  // Away from biases of 0, where the ReLUs of an empty memory have their kinks.
  shift(0.03);
  zeroGrad(solver.loop.parameters);
  await value();
  let slope = 0;
  for (const { p, direction } of along) slope += (await sum(mul(direction, p.grad!)).data())[0]!;
  shift(1e-6);
  const above = await value();
  shift(-2e-6);
  const below = await value();
  expect((above - below) / 2e-6 / slope).toBeCloseTo(1, 6);
});

test('a shot that recorded nothing is refused', async () => {
  await setBackend('wasm', { threads: 1 });
  using survey = new Survey(small);
  const even = new Float32Array(24 * 40).fill(2);
  await expect(simulate(survey, even, new RandomStream(1))).rejects.toThrow('the data are zero');
});

test('nothing is left behind', async () => {
  await setBackend('wasm', { threads: 1 });
  const before = memory().liveBytes;
  {
    using survey = new Survey(small);
    const solver = solverOf(survey);
    const one = await draw(survey, 1);
    reconstruct(solver, one).dispose();
    reconstructionLoss(solver, one).dispose();
    const signal = new AbortController().signal;
    await compareMethods(solver, one, signal);
    zeroGrad(solver.loop.parameters);
    solver.loop.dispose();
  }
  expect(memory().liveBytes).toBe(before);
});

test('a short training is on its way: 0.4 dB above what it starts from, on earths that it has not seen', async () => {
  await setBackend('native', { threads: 1 });
  using survey = new Survey({ size: [32, 48], steps: 201, peakFrequency: 0.009 });
  const solver = solverOf(survey, { iterations: 3, state: 8, hidden: 24 });
  const steps = 40;
  async function* batches(): AsyncGenerator<Case> {
    for (let step = 0; step < steps; step++) yield await draw(survey, 100 + step);
  }
  const { parameters } = solver.loop;
  const schedule = warmupCosine({ rate: 2e-3, warmup: 10, steps });
  const loss = (one: Case): Tensor => reconstructionLoss(solver, one);
  const options = { parameters, optimizer: new Adam(), loss, schedule, clipNorm: 1 };
  for await (const _ of train({ ...options, batches: batches(), disposeBatch: disposeCase }));
  const { signal } = new AbortController();
  const cases: Comparison[] = [];
  for (let seed = 0; seed < 3; seed++) {
    cases.push(await compareMethods(solver, await draw(survey, seed), signal));
  }
  const { loop, lsqr, aboveLsqr } = summaryOf(cases);
  expect(lsqr.find(({ calls }) => calls === 8)!.snr).toBeCloseTo(loop.snr - aboveLsqr, 9);
  expect(loop.snr - lsqr[0]!.snr).toBeGreaterThan(0.4);
  expect(lsqr.at(-1)!.snr - lsqr[0]!.snr).toBeGreaterThan(1);
}, 300_000);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'seismic-unrolled-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('sections of velocities are read from columns of floats and from SEG-Y', async () => {
  // Velocities grow by 1 m/s a number, down and across.
  const [columns, depths] = [200, 401];
  const numbers = Float32Array.from(
    { length: columns * depths },
    (_, i) => 2000 + (i % depths) + Math.floor(i / depths),
  );
  const bare = join(folder, 'section.bin');
  await writeFile(bare, new Uint8Array(numbers.buffer));
  const segy = join(folder, 'section.sgy');
  await writeFile(segy, segyOf(numbers, depths));
  for (const path of [bare, segy]) {
    const sections = await readSections(path, 12.5, [24, 40]);
    expect(sections).toHaveLength(2);
    expect(sections[1]![0]).toBeCloseTo(2 + 0.001 * 80, 6);
    expect(sections[1]!.at(-1)).toBeCloseTo(2 + 0.001 * (46 + 158), 6);
  }
  await expect(readSections(bare, 2, [24, 40])).rejects.toThrow(FlagError);
  await expect(readSections(bare, 2, [24, 40])).rejects.toThrow('at least 975 × 575 m');
  const cut = join(folder, 'cut.bin');
  await writeFile(cut, new Uint8Array(numbers.buffer, 0, 4000));
  await expect(readSections(cut, 12.5, [24, 40])).rejects.toThrow('has 4000 bytes; expected SEG-Y');
  const odd = join(folder, 'cut.segy');
  await writeFile(odd, segyOf(numbers, depths).subarray(0, 9999));
  await expect(readSections(odd, 12.5, [24, 40])).rejects.toThrow(SegyFormatError);
  numbers[7] = Number.NaN;
  await writeFile(bare, new Uint8Array(numbers.buffer));
  await expect(readSections(bare, 12.5, [24, 40])).rejects.toThrow('no velocities');
});

/** A SEG-Y file of IEEE floats. */
function segyOf(values: Float32Array, samples: number): Uint8Array {
  const pitch = 240 + 4 * samples;
  const view = new DataView(new ArrayBuffer(3600 + (values.length / samples) * pitch));
  view.setUint16(3216, 1000);
  view.setUint16(3220, samples);
  view.setUint16(3224, 5);
  for (const [i, value] of values.entries()) {
    const trace = 3600 + Math.floor(i / samples) * pitch;
    view.setUint16(trace + 114, samples);
    view.setFloat32(trace + 240 + 4 * (i % samples), value);
  }
  return new Uint8Array(view.buffer);
}
