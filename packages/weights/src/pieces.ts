/** What all readers and writers share: parameters filled and read, layers checked, networks of couplings. */
import {
  type Activation,
  ActNorm,
  AffineLayer,
  type Bijection,
  type Conditioner,
  Module,
  type Parameter,
  placesIn,
  Sequential,
} from '@invnet/layers';
import { formatValue, type Shape, sizeOf, tensor } from '@invnet/tensor';
import type { LayerNumbers } from './coupling.ts';
import { Perceptron, ResidualPerceptron } from './perceptron.ts';
import type { Section, SectionWriter } from './state-dict.ts';

/** Sets a parameter; `state` is where the numbers are from. */
export function fill(p: Parameter, numbers: Float64Array, state: Section): void {
  const rounded = p.data.dtype === 'float32' ? Math.fround : (v: number) => v;
  const bad = numbers.findIndex((v) => !Number.isFinite(rounded(v)));
  if (bad >= 0) {
    state.fail(
      `makes ${numbers[bad]} of parameter ${p.name}; expected what ${p.data.dtype} can hold`,
    );
  }
  using data = tensor(numbers, p.shape);
  p.assign(data);
}

export async function numbersOf(p: Parameter): Promise<Float64Array> {
  return Float64Array.from(await p.data.data());
}

/** The layer itself. @throws WeightsError unless it is of the class. */
export function expectLayer<T extends object>(
  layer: unknown,
  type: { readonly type: string; readonly prototype: T },
  out: SectionWriter,
): T {
  if (isInstance(layer, type.prototype)) return layer;
  const found = layer instanceof Module ? layer.type : formatValue(layer);
  return out.fail(`is ${found} here; expected ${type.type}, as an import makes it`);
}

/** As `instanceof`, which would forget that a class with a type parameter has its default here. */
function isInstance<T extends object>(value: unknown, prototype: T): value is T {
  return Object.prototype.isPrototypeOf.call(prototype, Object(value));
}

/** As `expectLayer`, of layers in order. */
export function expectSequential(layer: Module, out: SectionWriter): Sequential {
  return expectLayer(layer, Sequential, out);
}

/** A layer of a `Sequential` by its name. @throws WeightsError for none. */
export function layerOf(layers: Sequential, name: string, out: SectionWriter): Bijection {
  const layer = layers.names.includes(name) ? layers.at(name) : undefined;
  return layer ?? out.fail(`has no layer '${name}' here, but ${layers.names.join(', ')}`);
}

/**
 * scale ⊙ x + shift of parameters of the shape [1, C, …size]: per channel where the sizes are 1, else
 * per position.
 */
export function scaleAndShift(
  shape: Shape,
  scale: Float64Array,
  shift: Float64Array,
  state: Section,
): ActNorm | AffineLayer {
  const [one, channels, ...size] = shape;
  if (one !== 1 || channels === undefined) {
    state.fail(`has parameters of the shape [${shape.join(', ')}]; expected [1, channels, …]`);
  }
  const layer = size.every((s) => s === 1)
    ? new ActNorm({ channels })
    : new AffineLayer({ channels, size });
  fill(layer.scale, scale, state);
  fill(layer.shift, shift, state);
  return layer;
}

/** Scale, shift and the shape of them with `ndims` spatial axes. @throws WeightsError unless scales are positive. */
export async function scaleAndShiftOf(
  layer: Bijection,
  ndims: number,
  out: SectionWriter,
): Promise<{ shape: Shape; scale: Float64Array; shift: Float64Array }> {
  const affine = layer instanceof AffineLayer ? layer : expectLayer(layer, ActNorm, out);
  const size = affine instanceof AffineLayer ? affine.size : new Array<number>(ndims).fill(1);
  const [scale, shift] = await Promise.all([numbersOf(affine.scale), numbersOf(affine.shift)]);
  const bad = scale.findIndex((s) => !(s > 0));
  if (bad >= 0) {
    out.fail(
      `has the scale ${scale[bad]} in channel ${bad}; expected a positive one, whose logarithm it keeps`,
    );
  }
  return { shape: [1, affine.channels, ...size], scale, shift };
}

/** A layer's weights and bias from `weight` and `bias`. */
export function readLayer(state: Section): LayerNumbers {
  const shape = state.shapeOf('weight');
  const [outputs, inputs, ...kernel] = shape;
  const even = kernel.some((k) => k % 2 === 0 || k !== kernel[0]);
  if (outputs === undefined || inputs === undefined || kernel.length > 3 || even) {
    state.fail(
      `has the shape [${shape.join(', ')}]; expected that of a Linear, or of a convolution with an odd ` +
        'kernel of one size',
      'weight',
    );
  }
  return { shape, w: state.numbers('weight'), b: state.numbers('bias', [outputs]) };
}

export function writeLayer(layer: LayerNumbers, out: SectionWriter): void {
  out.set('weight', layer.shape, layer.w);
  out.set('bias', layer.shape.slice(0, 1), layer.b);
}

/** A network of such layers, which fit each other. */
export function conditionerOf(
  layers: readonly LayerNumbers[],
  type: 'chain' | 'residual',
  activation: Activation,
  state: Section,
): Perceptron {
  const channels = [layers[0]!.shape[1]!, ...layers.map(({ shape }) => shape[0]!)];
  const ndims = layers[0]!.shape.length - 2;
  const kernels = layers.map(({ shape }) => shape[2] ?? 1);
  layers.forEach(({ shape }, i) => {
    if (shape[1] === channels[i] && shape.length === ndims + 2) return;
    state.fail(
      `has a layer ${i} of the shape [${shape.join(', ')}]; expected one for ${channels[i]} channels ` +
        `and ${ndims} spatial axes, as those before it`,
    );
  });
  const options = { channels, ndims, kernels, activation };
  const net = type === 'chain' ? new Perceptron(options) : new ResidualPerceptron(options);
  net.layers.forEach((layer, i) => {
    fill(layer.w, layers[i]!.w, state);
    fill(layer.b, layers[i]!.b, state);
  });
  return net;
}

/** The layers of such a network. */
export async function layersOf(
  g: Conditioner,
  type: 'chain' | 'residual',
  out: SectionWriter,
): Promise<LayerNumbers[]> {
  const net =
    type === 'chain' ? expectLayer(g, Perceptron, out) : expectLayer(g, ResidualPerceptron, out);
  return Promise.all(
    net.layers.map(async ({ w, b }) => ({
      shape: w.shape,
      w: await numbersOf(w),
      b: await numbersOf(b),
    })),
  );
}

/** `nn.Sequential(Linear, activation, Linear, …)`, or of convolutions: layers at 0, 2, 4, … */
export function readChain(state: Section): LayerNumbers[] {
  const { indices, children } = state;
  if (children.length === 0) state.fail('is missing');
  if (children.length > indices.length || indices.some((at, i) => at !== 2 * i)) {
    state.fail(
      `has layers with parameters at ${children.join(', ')}; expected Linear or convolutions at 0, 2, 4, …, ` +
        'with an activation between them, and nothing else',
    );
  }
  return indices.map((at) => readLayer(state.at(String(at))));
}

export function writeChain(layers: readonly LayerNumbers[], out: SectionWriter): void {
  layers.forEach((layer, i) => {
    writeLayer(layer, out.at(String(2 * i)));
  });
}

/** The number of rows that the last layer gives, and of columns that the first one takes. */
export function sizesOf(layers: readonly LayerNumbers[]): { inputs: number; outputs: number } {
  return { inputs: layers[0]!.shape[1]!, outputs: layers.at(-1)!.shape[0]! };
}

export function filled(shape: Shape, value: number): Float64Array {
  return new Float64Array(sizeOf(shape)).fill(value);
}

/** The spatial axes of the first network of a coupling in it; 0 where there is none. */
export function ndimsOf(network: Module): number {
  for (const { module } of placesIn(network)) {
    if (module instanceof Perceptron) return module.options.ndims;
  }
  return 0;
}
