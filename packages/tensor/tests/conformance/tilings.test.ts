/**
 * Every way of the gpu backend's table to cut a product, on sizes that no way divides: the table itself
 * takes the larger ones for sizes that would take long here.
 */
import { describe, expect, it } from 'vitest';
import type { MatmulGeometry } from '../../src/backend.ts';
import { tilings } from '../../src/gpu/kernels/choice.ts';
import type { WgslKernel } from '../../src/gpu/kernels/shader.ts';
import {
  convFilterGradKernel,
  convInputGradKernel,
  convKernel,
  matmulKernel,
} from '../../src/gpu/kernels/wgsl.ts';
import { openWebGpu } from '../../src/gpu/webgpu.ts';
import {
  absolute,
  type Computation,
  convGeometry,
  numbers,
  once,
  oracle,
  volume,
} from './harness.ts';

const device = await openWebGpu(await import('../../src/gpu/gpujs.js'));

/** Sums in float32 of some hundred products, relative to those of their magnitudes. */
const TOLERANCE = 1e-6;

async function agrees(
  kernel: WgslKernel,
  inputs: readonly Float32Array[],
  size: number,
  expected: Computation,
  magnitudes: Computation,
): Promise<void> {
  const cell = (of: number) => ({ size: of, block: device.allocate(Math.ceil(of / 4)) });
  const cells = inputs.map((data) => {
    const made = cell(data.length);
    device.write(made.block, data);
    return made;
  });
  const result = cell(size);
  // Whatever is not written shows.
  device.write(result.block, new Float32Array(size).fill(Number.NaN));
  device.run(
    device.compileWgsl({ op: 'product', key: '', wgsl: () => kernel }),
    cells,
    [],
    [result],
  );
  const found = await device.read(result);
  for (const { block } of [...cells, result]) device.release(block);
  const exact = await once(oracle, 'float64', expected);
  const scale = await once(oracle, 'float64', magnitudes);
  for (let i = 0; i < size; i++) {
    const allowed = TOLERANCE * scale[i]! + 1e-7;
    if (!(Math.abs(found[i]! - exact[i]!) <= allowed)) {
      expect.fail(`entry ${i}: got ${found[i]}, expected ${exact[i]} within ${allowed}`);
    }
  }
}

const named = tilings.map((t) => ({ name: `${t.rows}×${t.columns}, ${t.groups}`, ...t }));

describe.each(named)('tiles of $name groups', (tiling) => {
  it('multiply matrices', async () => {
    for (const [m, k, n] of [
      [133, 75, 139],
      [36, 20, 264],
    ] as const) {
      for (const [transposeA, transposeB] of [
        [false, false],
        [true, false],
        [false, true],
      ] as const) {
        const sizes = { batch: 2, m, k, n, transposeA, transposeB };
        const g: MatmulGeometry = { ...sizes, batchedA: true, batchedB: false };
        const [a, b] = [numbers(2 * m * k, 1), numbers(k * n, 2)];
        await agrees(
          matmulKernel(g, tiling),
          [a, b],
          2 * m * n,
          (be, upload) => be.matmul(upload(a), upload(b), g),
          (be, upload) => be.matmul(upload(absolute(a)), upload(absolute(b)), g),
        );
      }
    }
  });

  it('convolve, with both gradients', async () => {
    for (const g of [
      convGeometry(3, 7, 18, [1, 9, 11], [1, 3, 3], [0, 1, 1]),
      convGeometry(2, 8, 20, [1, 8, 12], [1, 3, 3], [0, 1, 1]),
      convGeometry(2, 3, 5, [4, 9, 7], [2, 3, 1], [1, 0, 2], [2, 1, 3]),
    ]) {
      const [x, w, dy] = [
        numbers(g.batch * g.inputChannels * volume(g.input), 1),
        numbers(g.outputChannels * g.inputChannels * volume(g.kernel), 2),
        numbers(g.batch * g.outputChannels * volume(g.output), 3),
      ];
      const bias = numbers(g.outputChannels, 4);
      await agrees(
        convKernel(true, 'relu', g, tiling),
        [x, w, bias],
        dy.length,
        (b, upload) => b.conv(upload(x), upload(w), upload(bias), 'relu', g),
        (b, upload) =>
          b.conv(upload(absolute(x)), upload(absolute(w)), upload(absolute(bias)), 'none', g),
      );
      await agrees(
        convInputGradKernel(g, true, tiling),
        [dy, w, x],
        x.length,
        (b, upload) => b.convInputGrad(upload(dy), upload(w), upload(x), g),
        (b, upload) => b.convInputGrad(upload(absolute(dy)), upload(absolute(w)), undefined, g),
      );
      await agrees(
        convFilterGradKernel(g, 1, tiling),
        [x, dy],
        w.length,
        (b, upload) => b.convFilterGrad(upload(x), upload(dy), g),
        (b, upload) => b.convFilterGrad(upload(absolute(x)), upload(absolute(dy)), g),
      );
    }
  });
});
