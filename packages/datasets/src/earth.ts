/**
 * Synthetic geology: sections through folded, faulted layers, of the kind that OpenFWI's families of velocity models
 * have (Deng et al., 2022), made from a seed. Left out: anything measured; no section is of a real place.
 */
import {
  formatShape,
  formatValue,
  RandomStream,
  requireAtLeast,
  requireBetween,
  requireList,
  requireOptions,
  requireWhole,
  ShapeError,
  ValueError,
} from '@invnet/tensor';

/** What section to make. */
export interface LayeredEarthOptions {
  /** Each seed is a section of its own. */
  readonly seed: number;
  /** [cells in depth, cells along] */
  readonly size: readonly [number, number];
  /** Of a cell, in m. Default: 25. */
  readonly spacing?: number;
  /** Mean thickness of a layer, in m, at least that of a cell. Default: 200. */
  readonly thickness?: number;
  /** Most faults; there are 0 to so many. Default: 3. */
  readonly faults?: number;
  /** Depth of water on top, in m. Default: 0. */
  readonly water?: number;
  /** Most pockets of gas; there are 0 to so many. Default: 0. */
  readonly pockets?: number;
}

/** In km/s: the velocity of water, the least of all but gas, and the most that a layer has. */
const [WATER, MOST] = [1.5, 4.5];

/**
 * A section through the earth: layers that are tilted and folded, each of one velocity, which grows with depth on
 * average, and cut by normal faults, along which one side has slid down.
 *
 * A cell at (x, z) is moved back along the faults, the youngest first, and then lies at the stratigraphic depth
 * s = z + tilt·x + f(x) with a smooth random f. Its layer is the one between whose boundaries s is; boundaries are
 * ½ to 1½ times the thickness apart and bend a little by themselves, so that layers end here and there. In a pocket
 * of gas, a lens along the layers, the velocity is 0.55 to 0.9 of what it would be.
 *
 * @returns P-wave velocities in km/s, 1.5 … 4.5, in gas from 0.8 on, as [cells in depth, cells along], row-major.
 * @throws ValueError for a seed, a size or a length that is none.
 * @example
 * const velocity = layeredEarth({ seed: 1, size: [64, 96] }); // 1.6 km deep, 2.4 km long
 * const background = smoothedEarth(velocity, { size: [64, 96], width: 8 });
 */
export function layeredEarth(options: LayeredEarthOptions): Float32Array<ArrayBuffer> {
  const op = 'layeredEarth';
  requireOptions(op, options, [
    ...['seed', 'size', 'spacing', 'thickness', 'faults', 'water', 'pockets'],
  ]);
  const { seed, size, spacing = 25, thickness = 200, faults = 3, water = 0, pockets = 0 } = options;
  const [rows, columns] = requireSize(op, size);
  requireBetween(op, 'spacing', spacing, 0, 1e6);
  // Layers that are thinner than a cell are seen by nobody, and may be too many.
  requireAtLeast(op, 'thickness', thickness, spacing);
  requireBetween(op, 'thickness', thickness, 0, 1e6);
  requireWhole(op, 'faults', faults, 0, 100);
  requireAtLeast(op, 'water', water, 0);
  requireWhole(op, 'pockets', pockets, 0, 100);
  const random = new RandomStream(seed);
  const length = columns * spacing;
  const tilt = draw(random, -0.12, 0.12);
  const fold = smoothCurve(random, { height: draw(random, 0.2, 0.8) * thickness, thickness });
  const cuts = Array.from({ length: Math.floor(draw(random, 0, faults + 1)) }, () => {
    // How far it runs along for each metre down, for a dip of 50° to 75° to either side.
    const run = Math.sign(draw(random, -1, 1)) / Math.tan((draw(random, 50, 75) * Math.PI) / 180);
    const drop = draw(random, 0.25, 1.25) * thickness;
    return { start: draw(random, 0, length), run, drop };
  });
  // Beyond all that a cell can be moved to.
  const margin = 0.06 * length + 5 * thickness + cuts.reduce((sum, { drop }) => sum + 2 * drop, 0);
  const range = { from: -margin, to: rows * spacing + margin, thickness };
  const layers = layersOf(random, range);
  // Drawn last, so that a section without them is the same.
  const lenses = Array.from({ length: Math.floor(draw(random, 0, pockets + 1)) }, () => ({
    x: draw(random, 0, length),
    s: draw(random, water, rows * spacing),
    halfLength: draw(random, 0.5, 2) * thickness,
    halfHeight: draw(random, 0.1, 0.4) * thickness,
    factor: draw(random, 0.55, 0.9),
  }));

  const velocity = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      let [x, z] = [column * spacing, row * spacing];
      if (z < water) {
        velocity[row * columns + column] = WATER;
        continue;
      }
      for (const { start, run, drop } of cuts) {
        // On the side that has slid down, which is the one that the fault dips to.
        if ((x - start - run * z) * run <= 0) continue;
        x -= run * drop;
        z -= drop;
      }
      const s = z + tilt * (x - length / 2) + fold(x);
      // Most are told by their places, which are far below.
      const layer = layers.findLast((l) => l.place < s + 2 * thickness && l.place + l.bend(x) <= s);
      const lens = lenses.find(
        (l) => ((x - l.x) / l.halfLength) ** 2 + ((s - l.s) / l.halfHeight) ** 2 < 1,
      );
      velocity[row * columns + column] = (layer ?? layers[0]!).velocity * (lens?.factor ?? 1);
    }
  }
  return velocity;
}

interface Layer {
  /** Stratigraphic depth of its upper boundary, on average and aside from that. */
  readonly place: number;
  readonly bend: (x: number) => number;
  readonly velocity: number;
}

interface Range {
  readonly from: number;
  readonly to: number;
  readonly thickness: number;
}

/** From the surface down velocities approach the most; each layer is off by 0.25 km/s, normally. */
function layersOf(random: RandomStream, { from, to, thickness }: Range): Layer[] {
  const surface = draw(random, 1.7, 2.2);
  const gradient = draw(random, 0.8, 1.6);
  const layers: Layer[] = [];
  for (let place = from; place < to; place += draw(random, 0.5, 1.5) * thickness) {
    const bend = smoothCurve(random, { height: 0.15 * thickness, thickness });
    const rise = (gradient * Math.max(0, place)) / 1000 / (MOST - surface);
    const trend = MOST - (MOST - surface) * Math.exp(-rise);
    const velocity = trend + random.normalArray(1, 0.25)[0]!;
    layers.push({ place, bend, velocity: Math.min(MOST, Math.max(WATER, velocity)) });
  }
  return layers;
}

/** A sum of six waves of random length, 6 to 40 times the thickness of a layer; `height` is its deviation. */
function smoothCurve(
  random: RandomStream,
  { height, thickness }: { readonly height: number; readonly thickness: number },
): (x: number) => number {
  const waves = Array.from({ length: 6 }, () => ({
    size: random.normalArray(1, height / Math.sqrt(3))[0]!,
    rate: (2 * Math.PI) / (draw(random, 6, 40) * thickness),
    phase: draw(random, 0, 2 * Math.PI),
  }));
  return (x) =>
    waves.reduce((sum, { size, rate, phase }) => sum + size * Math.cos(rate * x + phase), 0);
}

function draw(random: RandomStream, low: number, high: number): number {
  return random.uniformArray(1, low, high)[0]!;
}

/** How to smooth a section. */
export interface SmoothedEarthOptions {
  /** [cells in depth, cells along] */
  readonly size: readonly [number, number];
  /** Deviation of the Gaussian, in cells. */
  readonly width: number;
}

/**
 * A section without its layers, as one knows it before imaging: 1/velocity is averaged by a Gaussian, so that
 * waves take about as long as through the section itself. At the edges the average is over what is inside.
 *
 * @param velocity - [cells in depth, cells along], row-major, of any unit; it stays as it is.
 * @throws ValueError for a size or width that is none, or velocities that are not above 0.
 * @throws ShapeError for another number of velocities than the size has.
 * @example
 * const background = smoothedEarth(velocity, { size: [64, 96], width: 8 }); // 200 m for cells of 25 m
 */
export function smoothedEarth(
  velocity: Float32Array,
  options: SmoothedEarthOptions,
): Float32Array<ArrayBuffer> {
  const op = 'smoothedEarth';
  requireOptions(op, options, ['size', 'width']);
  const { size, width } = options;
  const [rows, columns] = requireSize(op, size);
  requireBetween(op, 'width', width, 0);
  if (!(velocity instanceof Float32Array)) {
    throw new ValueError(`${op}: velocity is ${formatValue(velocity)}; expected a Float32Array.`);
  }
  if (velocity.length !== rows * columns) {
    throw new ShapeError(
      `${op}: ${velocity.length} velocities; expected as many as size ${formatShape(size)} has.`,
    );
  }
  const wrong = velocity.find((v) => !(v > 0 && v < Number.POSITIVE_INFINITY));
  if (wrong !== undefined) {
    throw new ValueError(`${op}: a velocity of ${wrong}; expected finite ones above 0.`);
  }
  const slowness = Float64Array.from(velocity, (v) => 1 / v);
  const along = smoothedLines(slowness, { count: rows, length: columns, width });
  const down = smoothedLines(along, { count: columns, length: rows, width });
  return Float32Array.from(down, (s) => 1 / s);
}

interface Lines {
  readonly count: number;
  readonly length: number;
  readonly width: number;
}

/** Lines averaged by a Gaussian, and turned: [count, length] becomes [length, count]. */
function smoothedLines(values: Float64Array, { count, length, width }: Lines): Float64Array {
  const reach = Math.min(length - 1, Math.ceil(4 * width));
  const weights = Float64Array.from({ length: reach + 1 }, (_, i) =>
    Math.exp(-0.5 * (i / width) ** 2),
  );
  const turned = new Float64Array(values.length);
  for (let line = 0; line < count; line++) {
    for (let i = 0; i < length; i++) {
      let [sum, total] = [0, 0];
      for (let j = Math.max(0, i - reach); j <= Math.min(length - 1, i + reach); j++) {
        const weight = weights[Math.abs(i - j)]!;
        sum += weight * values[line * length + j]!;
        total += weight;
      }
      turned[i * count + line] = sum / total;
    }
  }
  return turned;
}

function requireSize(op: string, size: readonly [number, number]): readonly [number, number] {
  requireList(op, 'size', size, '[cells in depth, cells along]');
  if (size.length !== 2) {
    throw new ValueError(
      `${op}: size is ${formatValue(size)}; expected [cells in depth, cells along].`,
    );
  }
  for (const cells of size) requireWhole(op, 'a size', cells, 1, 2 ** 14);
  return size;
}
