/** What a run leaves to look at. */
import { curves, type Panel, panels } from '@invnet/figures';
import { type Comparison, methods, type Result } from './evaluation.ts';
import type { StepMemory } from './memory.ts';

/** Slices that are shown, beside the one where the loop gains least over total variation. */
const shown = [6, 10, 14];
/** Errors are shown so many times larger. */
const errorGain = 5;

/** Names of the methods, by their place in a comparison. */
export type MethodNames = Readonly<Record<(typeof methods)[number], string>>;

/** Truth, reconstructions and the loop's error of some slices, a row each, the front of the head up. */
export function reconstructionsPicture(slices: readonly Comparison[], names: MethodNames) {
  const gains = slices.map((s) => s.loop.quality.psnr - s.totalVariation.quality.psnr);
  const worst = gains.indexOf(Math.min(...gains));
  const rows = [...shown.filter((n) => n < slices.length && n !== worst), worst];
  const list = rows.flatMap((n) => rowOf(slices[n]!, { n, names, worst: n === worst }));
  return panels(list, {
    columns: 2 + methods.length,
    scale: { range: [0, 1], label: 'magnitude' },
  });
}

function rowOf(
  slice: Comparison,
  { n, names, worst }: { n: number; names: MethodNames; worst: boolean },
): Panel[] {
  const { truth, loop } = slice;
  const largest = truth.reduce((a, b) => Math.max(a, b), 0);
  const side = Math.sqrt(truth.length);
  const size = { height: side, width: side };
  // Rows of an image run left to right.
  const upright = (image: Float32Array) =>
    image.map((_, i) => image[(i % side) * side + Math.floor(i / side)]! / largest);
  const note = ({ quality: { psnr, ssim } }: Result) => `${psnr.toFixed(2)} dB, ${ssim.toFixed(3)}`;
  return [
    {
      ...size,
      title: `slice ${n + 1}`,
      note: worst ? 'where the loop gains least' : 'truth',
      values: upright(truth),
    },
    ...methods.map((method) => ({
      ...size,
      title: names[method],
      note: note(slice[method]),
      values: upright(slice[method].image),
    })),
    {
      ...size,
      title: 'error',
      note: names.loop,
      gain: errorGain,
      values: upright(loop.image.map((v, i) => Math.abs(v - truth[i]!))),
    },
  ];
}

/** PSNR of each slice by each method. */
export function psnrPicture(slices: readonly Comparison[], names: MethodNames) {
  return curves({
    title: 'Test slices',
    series: methods.map((method) => ({
      name: names[method],
      y: slices.map((slice) => slice[method].quality.psnr),
    })),
    x: { label: 'slice' },
    y: { label: 'PSNR (dB)' },
  });
}

/** The loss of each step. */
export function lossPicture(losses: readonly number[]) {
  return curves({
    title: 'Training loss',
    series: [{ y: losses, smooth: Math.max(1, Math.round(losses.length / 50)) }],
    clip: 0.98,
    x: { label: 'step' },
    y: { label: 'loss', scale: 'log' },
  });
}

/** What a training step holds, against the number of iterations. */
export function memoryPicture(measured: readonly StepMemory[]) {
  const x = measured.map(({ iterations }) => iterations);
  const megabytes = (bytes: (m: StepMemory) => number) => measured.map((m) => bytes(m) / 1e6);
  return curves({
    title: 'Memory of a training step',
    series: [
      { name: 'peak', x, y: megabytes((m) => m.peakBytes) },
      {
        name: 'of which parameters and gradients',
        x,
        y: megabytes((m) => m.parameterBytes),
        dashed: true,
      },
    ],
    x: { label: 'iterations' },
    y: { label: 'MB' },
  });
}
