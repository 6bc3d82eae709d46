/** The pictures: class maps, confusion matrices, and the loss. */
import { confusion, curves, type Figure, grid, panels } from '@invnet/figures';
import type { ConfusionMatrix } from '@invnet/metrics';
import { type Scene, type SplitName, type Splits, splitNames } from './scene.ts';

/** What a network made of its split. */
export interface Outcome {
  readonly predicted: Uint8Array;
  readonly methods: { readonly network: { readonly overallAccuracy: number } };
  readonly matrix: ConfusionMatrix;
}

/** False colour, ground truth, and the map of each network with what it was trained on outlined. */
export function classMaps(
  scene: Scene,
  splits: Splits,
  outcomes: Readonly<Record<SplitName, Outcome>>,
): Figure {
  const { height, width, labels, classes } = scene;
  const size = { height, width };
  const maps = splitNames.map((name) => ({
    ...size,
    title: titles[name],
    note: `${percent(outcomes[name].methods.network.overallAccuracy)} of test pixels`,
    labels: outcomes[name].predicted,
    outline: splits[name].train,
  }));
  return panels(
    [
      { ...size, title: 'false colour', rgb: falseColour(scene) },
      { ...size, title: 'ground truth', labels },
      ...maps,
    ],
    { classes: classes.map((name, i) => ({ label: i + 1, name })), size: 290, columns: 2 },
  );
}

/** Which class was taken for which on the test pixels, of both splits. */
export function confusions(scene: Scene, outcomes: Readonly<Record<SplitName, Outcome>>): Figure {
  const { classes } = scene;
  return grid(
    splitNames.map((name) =>
      confusion({ counts: outcomes[name].matrix, classes, title: titles[name] }),
    ),
  );
}

/** The loss of every step, the mean of both networks. */
export function lossCurve(losses: readonly number[]): Figure {
  return curves({
    title: 'Training loss',
    series: [{ name: 'cross-entropy', y: losses, smooth: 10 }],
    x: { label: 'step' },
    y: { label: 'cross-entropy (nats)' },
  });
}

const titles: Readonly<Record<SplitName, string>> = {
  random: 'trained on random pixels',
  blocks: 'trained on blocks',
};

/** Near infrared, red and green as red, green and blue: band 0 is at 0.4 µm, and each next one 10 nm on. */
const falseColourBands = [50, 27, 17];

function falseColour({ cube, height, width, bands }: Scene): Float32Array {
  const pixels = height * width;
  const rgb = new Float32Array(3 * pixels);
  for (const [c, band] of falseColourBands.entries()) {
    const plane = cube.subarray(Math.min(band, bands - 1) * pixels).subarray(0, pixels);
    // Two deviations about the mean fill the scale.
    plane.forEach((v, i) => {
      rgb[c * pixels + i] = Math.min(Math.max(0.5 + v / 4, 0), 1);
    });
  }
  return rgb;
}

/** `97.6 %` */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
