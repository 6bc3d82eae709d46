/** The pictures: digits that were taken for others, which ones for which, and the loss. */
import type { Mnist } from '@invnet/datasets';
import { confusion, curves, type Figure, panels } from '@invnet/figures';
import type { ConfusionMatrix } from '@invnet/metrics';
import { side } from './digits.ts';

/** Mistakes in the picture. */
const shown = 40;

/** The first images that were taken for another digit than they show. */
export function mistakes(data: Mnist, predicted: Uint8Array): Figure {
  const wrong = [...predicted.keys()].filter((i) => predicted[i] !== data.labels[i]);
  const own = wrong.slice(0, shown);
  return panels(
    (own.length > 0 ? own : [0]).map((i) => ({
      ...{ height: side, width: side },
      title: `${data.labels[i]}`,
      note: `taken for ${predicted[i]}`,
      values: data.images.subarray(i * side * side, (i + 1) * side * side),
    })),
    { columns: 8, size: 84, scale: { palette: 'grey', range: [0, 255] } },
  );
}

/** Which digit was taken for which. */
export function confusions(matrix: ConfusionMatrix): Figure {
  return confusion({
    counts: matrix,
    classes: matrix.map((_, digit) => `${digit}`),
    title: 'percent of each digit',
  });
}

/** The loss of every step. */
export function lossCurve(losses: readonly number[]): Figure {
  return curves({
    title: 'Training loss',
    series: [{ y: losses, smooth: Math.max(1, Math.round(losses.length / 50)) }],
    x: { label: 'step' },
    y: { label: 'cross-entropy (nats)', scale: 'log' },
  });
}
