/** What is measured: labels of all pixels, scores of a split, and memory against depth. */
import {
  averageAccuracy,
  type ConfusionMatrix,
  cohenKappa,
  confusionMatrix,
  overallAccuracy,
} from '@invnet/metrics';
import { memory, resetPeakMemory } from '@invnet/tensor';
import { Segmenter } from './model.ts';
import type { Scene, Split } from './scene.ts';
import { classesIn, imageOf, maskIn, orientations, viewOf } from './views.ts';

/** How good labels are on the pixels of a test. */
export interface Scores {
  readonly overallAccuracy: number;
  readonly averageAccuracy: number;
  readonly kappa: number;
}

/** Labels [height, width] of every pixel, by the mean of the logits over all eight orientations. */
export async function predict(model: Segmenter, scene: Scene): Promise<Uint8Array> {
  const classes = scene.classes.length;
  const total = new Float64Array(scene.labels.length * classes);
  for (let orientation = 0; orientation < orientations; orientation++) {
    const view = viewOf(scene, orientation);
    using image = imageOf(scene, view);
    using logits = model.logits(image);
    const numbers = await logits.data();
    for (const [i, pixel] of view.source.entries()) {
      if (pixel < 0) continue;
      for (let c = 0; c < classes; c++) {
        total[pixel * classes + c]! += numbers[c * view.source.length + i]!;
      }
    }
  }
  return scene.labels.map((_, pixel) => {
    const logits = total.subarray(pixel * classes, (pixel + 1) * classes);
    return 1 + logits.indexOf(Math.max(...logits));
  });
}

/** Compares labels with the true ones on the test pixels of a split. */
export function score(
  scene: Scene,
  { test }: Split,
  predicted: Uint8Array,
): Scores & { readonly matrix: ConfusionMatrix } {
  const fromZero = (labels: Uint8Array) => Int16Array.from(labels, (label) => label - 1);
  const matrix = confusionMatrix(fromZero(predicted), fromZero(scene.labels), {
    classes: scene.classes.length,
    mask: test,
  });
  return {
    overallAccuracy: overallAccuracy(matrix),
    averageAccuracy: averageAccuracy(matrix),
    kappa: cohenKappa(matrix),
    matrix,
  };
}

/** What one step takes at most. */
export interface StepMemory {
  readonly depth: number;
  /** Most bytes that were live at once: image, parameters, their gradients, and the states of the network. */
  readonly peakBytes: number;
  /** Parameters and gradients among them, which do grow with depth. */
  readonly parameterBytes: number;
}

/** Measures a forward and a backward pass of a network like this one with another number of layers. */
export function stepMemory(
  scene: Scene,
  split: Split,
  options: Segmenter['options'],
  depth: number,
): StepMemory {
  const before = memory().liveBytes;
  const model = new Segmenter({ ...options, depth });
  try {
    const view = viewOf(scene, 0);
    using image = imageOf(scene, view);
    resetPeakMemory();
    using _ = model.lossAndGradients(image, classesIn(scene, view), maskIn(split, view));
    const parameterBytes = model.parameters.reduce((sum, p) => sum + 2 * 4 * p.size, 0);
    return { depth, peakBytes: memory().peakBytes - before, parameterBytes };
  } finally {
    for (const p of model.parameters) p.zeroGrad();
    model.dispose();
  }
}
