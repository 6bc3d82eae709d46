/** The Fourier operator: numpy's transform, adjoints, coils, lines of each sample, and what is refused. */
import { assertAdjoint, lsqr, operatorOf } from '@invnet/jvp';
import { UnrolledLoop } from '@invnet/networks';
import {
  memory,
  RandomStream,
  ShapeError,
  setBackend,
  slice,
  sub,
  type Tensor,
  tensor,
  tidy,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import { cartesianLines, PhaseEncodedFourier } from '../src/index.ts';
import { adjointError } from './dot.ts';
import { itAgreesWith } from './python.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const all = (height: number) => Array.from({ length: height }, (_, i) => i);

/** sin(1 + i) + i cos(i²) over the numbers i of an image of two columns. */
function waves(height: number): Tensor {
  const count = 2 * height;
  const re = Array.from({ length: count }, (_, i) => Math.sin(1 + i));
  const im = Array.from({ length: count }, (_, i) => Math.cos(i * i));
  return tensor([...re, ...im], [1, 2, height, 2]);
}

const norm = (x: Tensor) => Math.hypot(...x.dataSync());
const distance = (a: Tensor, b: Tensor) => norm(sub(a, b));

/** Of `waves`, by numpy 2.4's fftshift(fft(ifftshift(u, 0), axis=0, norm='ortho'), 0), real parts first. */
const recorded: readonly [number, readonly number[]][] = [
  [
    5,
    [
      -0.941201568412465, -0.376598131998896, -0.835826525283448, -0.802491826347032,
      0.488702406707255, 0.142400218712881, -0.708376041416406, 0.352535410710279,
      -0.147518135016392, 0.059362280983, 0.365077864175845, 1.92331610888307, -0.933323307273609,
      0.243073434790438, -0.155366278610769, 0.759213672703456, -1.146421672531395,
      -0.478244840749741, -0.271358303060282, -0.230961508811562,
    ],
  ],
  [
    4,
    [
      -0.457779948316949, 0.198663088655651, -1.163037595353621, -1.200217865326461,
      0.340326658461707, 0.431218839971105, -0.637357664117414, 0.011504940301853,
      0.411973915083816, 1.071021417936327, -0.720896444832232, 1.098530623963322,
      -0.369633395407201, 0.460483699795287, -1.236763035491153, -0.647630117967988,
    ],
  ],
];

describe('PhaseEncodedFourier', () => {
  it.each(recorded)('of %i lines is the transform of numpy', (height, expected) => {
    const operator = new PhaseEncodedFourier({ size: [height, 2], lines: all(height) });
    const found = operator.forward(waves(height)).dataSync();
    found.forEach((v, i) => {
      expect(v).toBeCloseTo(expected[i]!, 13);
    });
    // It is orthonormal, so its adjoint is its inverse.
    const back = operator.adjoint(operator.forward(waves(height)));
    expect(distance(back, waves(height))).toBeLessThan(1e-13);
  });

  it('has its adjoint, with coils and with lines of each sample', async () => {
    const random = new RandomStream(1);
    const size = [9, 4] as const;
    const coils = random.normal([3, 2, 9, 4]);
    for (const lines of [[4], [0, 8, 3, 4], [Uint32Array.of(1, 4, 6), [8, 4, 0]]]) {
      for (const options of [{}, { coils }]) {
        using operator = new PhaseEncodedFourier({ size, lines, ...options });
        expect(await adjointError(operator)).toBeLessThan(1e-11);
      }
    }
  });

  it('samples the lines that it is told, of each sample its own, also after they are set', () => {
    const u = new RandomStream(2).normal([2, 2, 6, 3]);
    const full = new PhaseEncodedFourier({ size: [6, 3], lines: all(6) }).forward(u);
    const lines = [
      [5, 0, 3],
      [2, 3, 4],
    ];
    const operator = new PhaseEncodedFourier({ size: [6, 3], lines: [1] });
    expect(operator.range).toEqual([2, 1, 3]);
    operator.lines = lines;
    expect([operator.range, operator.batch]).toEqual([[2, 3, 3], 2]);
    const data = operator.forward(u);
    lines.forEach((each, n) => {
      each.forEach((line, l) => {
        const row = (x: Tensor, i: number) => slice(slice(x, 0, n, 1), 2, i, 1);
        expect(distance(row(data, l), row(full, line))).toBeLessThan(1e-14);
      });
    });
    operator.lines = [1, 2];
    expect(operator.batch).toBeUndefined();
  });

  it('weighs the image by each coil, and adds up what the coils have seen', () => {
    const random = new RandomStream(3);
    const [coils, u] = [random.normal([2, 2, 4, 3]), random.normal([1, 2, 4, 3])];
    const plain = new PhaseEncodedFourier({ size: [4, 3], lines: [0, 2] });
    const data = new PhaseEncodedFourier({ size: [4, 3], lines: [0, 2], coils }).forward(u);
    const [a, b] = [u.dataSync().subarray(0, 12), u.dataSync().subarray(12)];
    for (let coil = 0; coil < 2; coil++) {
      const s = coils.dataSync().subarray(24 * coil, 24 * (coil + 1));
      const re = Array.from(a, (v, i) => v * s[i]! - b[i]! * s[12 + i]!);
      const im = Array.from(a, (v, i) => v * s[12 + i]! + b[i]! * s[i]!);
      const expected = plain.forward(tensor([...re, ...im], [1, 2, 4, 3]));
      expect(distance(slice(data, 1, 2 * coil, 2), expected)).toBeLessThan(1e-14);
    }
  });

  it('is taken by loops and solvers', async () => {
    const random = new RandomStream(4);
    const operator = new PhaseEncodedFourier({
      size: [8, 6],
      lines: [
        [3, 4, 6],
        [1, 4, 5],
      ],
    });
    const truth = random.normal([2, 2, 8, 6]);
    const data = operator.forward(truth);
    const A = operatorOf(operator, 2);
    await assertAdjoint(A, { tolerance: 1e-11 });
    const { x } = await lsqr(A, data);
    // Of equal singular values: the least-squares solution is the zero-filled one.
    expect(distance(x, operator.adjoint(data))).toBeLessThan(1e-12);
    const loop = new UnrolledLoop({ channels: 2, memoryChannels: 2, iterations: 2, operator });
    const { y } = loop.forward([operator.adjoint(data), zeros([2, 2, 8, 6])], data);
    expect(y[0].shape).toEqual(truth.shape);
  });

  it('agrees with float64 on wasm, and frees all but what it holds', async () => {
    const lines = cartesianLines({ size: 60, acceleration: 4, random: new RandomStream(5) });
    const numbers = new RandomStream(6).normalArray(2 * 2 * 60 * 32);
    const coils = new RandomStream(7).normalArray(2 * 2 * 60 * 32);
    const results: Float64Array[] = [];
    for (const [name, dtype] of [
      ['reference', 'float64'],
      ['wasm', 'float32'],
    ] as const) {
      if (name === 'reference') await setBackend(name, { dtype: 'float64' });
      else await setBackend(name);
      const before = memory().liveBytes;
      const image = tensor(numbers, [2, 2, 60, 32]);
      const maps = tensor(coils, [2, 2, 60, 32]);
      const operator = tidy(() => new PhaseEncodedFourier({ size: [60, 32], lines, coils: maps }));
      const held = memory().liveBytes;
      const data = operator.forward(image);
      const back = operator.adjoint(data);
      expect(data.dtype).toBe(dtype);
      results.push(Float64Array.from(back.dataSync()));
      for (const t of [data, back]) t.dispose();
      expect(memory().liveBytes).toBe(held);
      for (const t of [image, maps, operator]) t.dispose();
      expect(memory().liveBytes).toBe(before);
    }
    const [exact, found] = results;
    const error = exact!.map((v, i) => v - found![i]!);
    expect(Math.hypot(...error) / Math.hypot(...exact!)).toBeLessThan(1e-6);
  });

  it('refuses lines, coils and batches that do not fit, and says which would', () => {
    const make = (options: object) => () =>
      new PhaseEncodedFourier({ size: [8, 4], lines: [1, 2], ...options });
    expect(make({ lines: [1, 8] })).toThrow(/line 8; expected whole numbers from 0 to 7/);
    expect(make({ lines: [1, 5, 1] })).toThrow(/line 1 twice/);
    expect(make({ lines: [] })).toThrow(/lines are none/);
    expect(make({ lines: [[1], []] })).toThrow(/lines of sample 1 are none/);
    expect(make({ lines: [[1, 2], [3]] })).toThrow(/2 lines of sample 0 and 1 of sample 1/);
    expect(make({ size: [0, 4] })).toThrow(ValueError);
    const coils = zeros([3, 2, 8, 5]);
    const many = Array.from({ length: 1024 }, (_, line) => line);
    const large = { size: [4096, 1], lines: Array.from({ length: 9 }, () => many) };
    const fitting = zeros([1, 2, 4096, 1]);
    const { liveBytes } = memory();
    expect(make({ coils })).toThrow(/expected \[K, 2, 8, 4\]/);
    expect(make({ ...large, coils: fitting })).toThrow(/take a matrix of 150994944 numbers/);
    expect(memory().liveBytes).toBe(liveBytes);
    expect(make({ mask: [1] })).toThrow(/no option 'mask'/);
    const operator = make({ lines: [[1], [2]] })();
    expect(() => operator.forward(zeros([3, 2, 8, 4]))).toThrow(
      'PhaseEncodedFourier: forward got [3, 2, 8, 4]; expected [2, 2, 8, 4], for it maps images ' +
        '[2, 2, 8, 4] to data [2, 2, 1, 4].',
    );
    expect(() => make({})().adjoint(zeros([1, 2, 3, 4]))).toThrow(ShapeError);
    expect(() => make({})().adjoint(zeros([1, 2, 3, 4]))).toThrow(/expected \[N, 2, 2, 4\]/);
  });
});

describe('cartesianLines', () => {
  it('takes the centre and as many others in each draw, each once', () => {
    const random = new RandomStream(8);
    const counts = new Uint32Array(128);
    for (let draw = 0; draw < 400; draw++) {
      const lines = cartesianLines({ size: 128, acceleration: 4, random });
      expect(lines.length).toBe(32);
      expect([...lines]).toEqual([...new Set(lines)].sort((a, b) => a - b));
      for (const line of lines) counts[line]! += 1;
    }
    // 10 lines around number 64, and 22 of 118 others: 75 of 400, with a deviation of 8.
    counts.forEach((count, line) => {
      if (line >= 59 && line < 69) expect(count).toBe(400);
      else expect(Math.abs(count - 75)).toBeLessThan(36);
    });
  });

  it('refuses a centre of more lines than there are', () => {
    const random = new RandomStream(1);
    const make = (acceleration: number, center: number) => () =>
      cartesianLines({ size: 64, acceleration, center, random });
    expect(make(8, 0.2)).toThrow(/8 of 64 lines at an acceleration of 8, and 13 in the centre/);
    expect(make(0.5, 0)).toThrow(ValueError);
    expect(make(4, -0.1)).toThrow(ValueError);
    expect(make(1, 0)().length).toBe(64);
  });
});

itAgreesWith(['numpy'], 'data and zero-filled images with coils and a mask', (run) => {
  const random = new RandomStream(9);
  const [coils, u] = [random.normal([3, 2, 15, 8]), random.normal([1, 2, 15, 8])];
  const lines = [0, 3, 7, 8, 14];
  const operator = new PhaseEncodedFourier({ size: [15, 8], lines, coils });
  const program = `
import numpy as np
u = np.array(given['u']).reshape(2, 15, 8)
s = np.array(given['coils']).reshape(3, 2, 15, 8)
u, s = u[0] + 1j * u[1], s[:, 0] + 1j * s[:, 1]
k = np.fft.fftshift(np.fft.fft(np.fft.ifftshift(s * u, axes=1), axis=1, norm='ortho'), axes=1)
mask = np.zeros(15)
mask[given['lines']] = 1
z = np.fft.ifft(np.fft.ifftshift(mask[None, :, None] * k, axes=1), axis=1, norm='ortho')
z = (s.conj() * np.fft.fftshift(z, axes=1)).sum(0)
both = lambda x: np.stack([x.real, x.imag], axis=-3).ravel().tolist()
json.dump([both(k[:, given['lines']]), both(z)], sys.stdout)
`;
  const given = { u: [...u.dataSync()], coils: [...coils.dataSync()], lines };
  const [data, image] = run(program, given) as [number[], number[]];
  const found = operator.forward(u);
  expect(distance(found, tensor(data, found.shape))).toBeLessThan(1e-12);
  expect(distance(operator.adjoint(found), tensor(image, u.shape))).toBeLessThan(1e-12);
});
