/** Right calls of `@invnet/operators`. */
import * as operators from '@invnet/operators';
import { affine, full, RandomStream, type Tensor } from '@invnet/tensor';
import { type Calls, call, make, on } from './call.ts';

class Halving extends operators.ImagingOperator {
  readonly domain = [3];
  readonly range = [3];
  protected apply = (u: Tensor) => affine(u, 0.5);
  protected applyAdjoint = (r: Tensor) => affine(r, 0.5);
}

/** Calls of all exports of operators. */
export function imagingCalls(): Calls {
  const random = new RandomStream(7);
  const nan = { may: ['nan'] } as const;
  const coils = random.normal([2, 2, 4, 3]);
  const lines = [
    [0, 3],
    [1, 2],
  ];
  const fourier = new operators.PhaseEncodedFourier({ size: [4, 3], lines, coils });
  const mask = new operators.Mask({ shape: [2, 4, 3], mask: random.normal([1, 4, 3]) });
  const blur = new operators.Blur({ shape: [2, 4, 3], kernel: random.normal([3, 1]) });
  const radon = new operators.Radon({ size: [4, 3], views: 3 });
  const image = random.normal([2, 2, 4, 3]);
  const sinogram = random.normal([2, 1, 3, 5]);
  const fit = { weight: 0.1, iterations: 2, proximalIterations: 2, norm: 1 };
  const grid = { size: [4, 3], border: 2, timeStep: 1, steps: 3, every: 2 } as const;
  const background = full([1, 1, 4, 3], 0.2);
  const points = { sources: [[0, 5]], receivers: [[30, 20]], spacing: [10, 12] } as const;
  const wavelet = [1, 2, 3];
  const survey: operators.AcousticWaveOptions = { ...grid, ...points, wavelet, background };
  const wave = new operators.AcousticWave(survey);
  const m = full([2, 1, 4, 3], 0.2);
  const dm = random.normal([2, 1, 4, 3]);
  const traces = random.normal([2, 1, 2, 1]);
  return {
    ImagingOperator: [
      on(new Halving(), 'forward', [random.normal([2, 3])], nan),
      on(new Halving(), 'adjoint', [random.normal([2, 3])], nan),
    ],
    PhaseEncodedFourier: [
      make(operators.PhaseEncodedFourier, [{ size: [4, 3], lines: [0, 3], coils }]),
      make(operators.PhaseEncodedFourier, [{ size: [4, 3], lines }]),
      on(fourier, 'forward', [random.normal([2, 2, 4, 3])], nan),
      on(fourier, 'adjoint', [random.normal([2, 4, 2, 3])], nan),
    ],
    Mask: [
      make(operators.Mask, [{ shape: [2, 4, 3], mask: random.normal([2, 4, 3]) }]),
      on(mask, 'forward', [image], nan),
      on(mask, 'adjoint', [image], nan),
    ],
    Blur: [
      make(operators.Blur, [{ shape: [2, 4, 3], kernel: random.normal([3, 3]) }]),
      on(blur, 'forward', [image], nan),
      on(blur, 'adjoint', [image], nan),
    ],
    Radon: [
      make(operators.Radon, [{ size: [4, 3], views: 3, bins: 2 }]),
      make(operators.Radon, [{ size: [4, 3], views: [0, 1, 2] }]),
      on(radon, 'forward', [random.normal([2, 1, 4, 3])], nan),
      on(radon, 'adjoint', [sinogram], nan),
    ],
    filteredBackProjection: [
      call(operators.filteredBackProjection, [radon, sinogram, { filter: 'hann' }], nan),
    ],
    totalVariation: [call(operators.totalVariation, [mask, image, fit])],
    AcousticWave: [
      make(operators.AcousticWave, [survey]),
      make(operators.AcousticWave, [{ ...survey, spacing: 11, weights: random.normal([2, 1]) }]),
      on(wave, 'set', [{ background, weights: random.normal([1, 1]) }]),
      on(wave, 'forward', [m], nan),
      on(wave, 'jvp', [m, dm], nan),
      on(wave, 'vjp', [m, traces], nan),
      on(wave, 'hvp', [m, traces, dm], nan),
    ],
    BornOperator: [
      on(wave.born, 'forward', [dm], { ...nan, undo: () => wave.born.dispose() }),
      on(wave.born, 'adjoint', [traces], { ...nan, undo: () => wave.born.dispose() }),
    ],
    Photoacoustic: [
      make(operators.Photoacoustic, [
        { ...grid, spacing: 9, sensors: [[0, 5]], medium: background },
      ]),
    ],
    ricker: [call(operators.ricker, [{ peakFrequency: 0.1, timeStep: 1, steps: 9 }])],
    cartesianLines: [
      call(operators.cartesianLines, [{ size: 16, acceleration: 4, center: 0.1, random }]),
    ],
  };
}
