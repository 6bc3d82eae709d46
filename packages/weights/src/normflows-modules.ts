/** The modules of normflows that stand in its lists of flows. */
import {
  type Activation,
  ActNorm,
  type Bijection,
  exp,
  leakyRelu,
  Permutation,
  Reversed,
  relu,
  reverse,
  Sequential,
  sigmoid,
} from '@invnet/layers';
import { couplingOf, type OutputOrder, partsOfCoupling, reordered } from './coupling.ts';
import { type Gaps, type Kind, type Kinds, readModules, writeModules } from './kinds.ts';
import { factorize, inverseOrder, matrixOf, orderOfPermutation, transposed } from './matrix.ts';
import { factorsOf, mixingOf } from './mixing.ts';
import {
  conditionerOf,
  expectLayer,
  expectSequential,
  layerOf,
  layersOf,
  readChain,
  scaleAndShift,
  scaleAndShiftOf,
  sizesOf,
  writeChain,
} from './pieces.ts';
import type { Section, SectionWriter } from './state-dict.ts';
import { readTriangles, writeTriangles } from './triangles.ts';

/** s of z₂ ↦ s ⊙ z₂ + t: eʳ, 1/σ(r + 2) or σ(r + 2). */
type ScaleMap = 'exp' | 'sigmoid' | 'sigmoid_inv';

/** What options say of modules, and what their neighbours tell. */
export interface ModuleContext {
  readonly scaleMap: ScaleMap;
  /** Within a `GlowBlock`. */
  readonly glowScaleMap: ScaleMap;
  readonly splitMode: 'channel' | 'channel_inv';
  readonly leaky: number;
  readonly gaps: Gaps;
  readonly ndims: number;
  readonly channels: number;
}

/** The flows of a list as data meet them, from the last to the first. */
export function readList(state: Section, name: string, context: ModuleContext): Sequential {
  const list = readModules(state.at(name), kinds, context, context.gaps);
  return new Sequential(Object.fromEntries(list.reverse()));
}

/** (z − t)·e⁻ˢ, and set by data until `data_dep_init_done`. */
const actNorm: Kind<ModuleContext> = {
  recognizes: (state) => state.has('data_dep_init_done'),
  read(state) {
    const [done] = state.numbers('data_dep_init_done', []);
    const layer = readAffine(state);
    if (!(layer instanceof ActNorm)) return state.fail('has a scale per position', 's');
    if (!(done! > 0)) layer.reset();
    return layer;
  },
  async write(layer, out, context) {
    await writeAffine(layer, out, context);
    const { value } = expectLayer(layer, ActNorm, out).initialized;
    out.set('data_dep_init_done', [], [value ? 1 : 0]);
  },
};

const affineConst: Kind<ModuleContext> = {
  // A MaskedAffineFlow has networks of these names, and a mask.
  recognizes: (state) => state.has('s') && state.has('t') && !state.has('b'),
  read: readAffine,
  write: writeAffine,
};

function readAffine(state: Section) {
  const shape = state.shapeOf('s');
  const scale = state.numbers('s').map((s) => Math.exp(-s));
  const shift = state.numbers('t', shape).map((t, i) => -t * scale[i]!);
  return scaleAndShift(shape, scale, shift, state);
}

async function writeAffine(layer: Bijection, out: SectionWriter, { ndims }: ModuleContext) {
  const { shape, scale, shift } = await scaleAndShiftOf(layer, ndims, out);
  out.set(
    's',
    shape,
    scale.map((s) => -Math.log(s)),
  );
  out.set(
    't',
    shape,
    shift.map((b, i) => -b / scale[i]!),
  );
}

/** The inverse of z₂ ↦ s ⊙ z₂ + t. */
const coupling: Kind<ModuleContext> = {
  recognizes: (state) => state.at('flows').has('1.param_map'),
  read(state, { channels, scaleMap, splitMode, leaky }) {
    const net = state.at('flows').at('1').at('param_map').at('net');
    const layers = readChain(net);
    const halves = [Math.ceil(channels / 2), Math.floor(channels / 2)] as const;
    const [kept, moved] = splitMode === 'channel' ? halves : [halves[1], halves[0]];
    const { inputs, outputs } = sizesOf(layers);
    const additive = outputs === moved;
    if (inputs !== kept || (outputs !== 2 * moved && !additive)) {
      net.fail(
        `maps ${inputs} to ${outputs} channels; expected ${kept} to ${2 * moved}, or to ${moved} without a ` +
          `scale, for ${channels} channels and splitMode: '${splitMode}'`,
      );
    }
    const { order, scaleFunction } = scaleMaps[scaleMap]();
    if (!additive) layers.push(reordered(layers.pop()!, order, 'in'));
    const activation = leaky === 0 ? relu() : leakyRelu({ slope: leaky });
    return reverse(
      couplingOf({
        channels: halves,
        moves: splitMode === 'channel' ? 'second' : 'first',
        conditioner: conditionerOf(layers, 'chain', activation, net),
        scaleFunction: additive ? undefined : scaleFunction,
      }),
    );
  },
  async write(layer, out) {
    const parts = partsOfCoupling(expectLayer(layer, Reversed, out).inner);
    if (!parts) return out.fail('is no coupling as an import makes it');
    const layers = await layersOf(parts.conditioner, 'chain', out);
    if (parts.scaleFunction) {
      layers.push(reordered(layers.pop()!, orderFor(parts.scaleFunction, out), 'back'));
    }
    writeChain(layers, out.at('flows').at('1').at('param_map').at('net'));
  },
};

/** Of a GlowBlock its coupling, its 1×1 convolution and its ActNorm, which are a list as well. */
const glowBlock: Kind<ModuleContext> = {
  recognizes: (state) => state.at('flows').has('0.flows.1.param_map'),
  read: (state, context) =>
    readList(state, 'flows', { ...context, scaleMap: context.glowScaleMap }),
  write: (layer, out, context) => writeModules(layer, out.at('flows'), kinds, context),
};

/** y = W x of images, and y = Wᵀx of vectors, as factors P, L, U with their signs, or whole. */
function linear({ ndims, factored }: { ndims: 0 | 2; factored: boolean }): Kind<ModuleContext> {
  const inOurOrder = (w: Float64Array) => (ndims === 0 ? transposed(w) : w);
  return {
    recognizes: (state, context) => context.ndims === ndims && state.has(factored ? 'log_S' : 'W'),
    read(state) {
      const [n = 0] = state.shapeOf(factored ? 'log_S' : 'W');
      const factors = factored ? readFactors(state, n) : undefined;
      if (factors && ndims > 0) return mixingOf(factors, state);
      const matrix = factors ? matrixOf(factors) : state.numbers('W', [n, n]);
      const ours = factorize(inOurOrder(matrix), true);
      return ours ? mixingOf(ours, state) : state.fail('is a singular matrix');
    },
    async write(layer, out) {
      const factors = await factorsOf(layer, out);
      const n = factors.order.length;
      if (!factored) {
        out.set('W', [n, n], inOurOrder(matrixOf(factors)));
        return;
      }
      const theirs = ndims > 0 ? factors : factorize(transposed(matrixOf(factors)), true);
      if (!theirs) return out.fail('has a singular matrix');
      writeFactors(theirs.order, theirs.lu, out);
    },
  };
}

function readFactors(state: Section, n: number) {
  const [p, l, u] = ['P', 'L', 'U'].map((name) => state.numbers(name, [n, n]));
  const [signs, logs] = [state.numbers('sign_S', [n]), state.numbers('log_S', [n])];
  state.numbers('eye', [n, n]);
  // W = P (L U), so row i of L U is the row of W that has the 1 of column i.
  const order = orderOfPermutation(transposed(p!)) ?? state.fail('is no permutation', 'P');
  const lu = Float64Array.from(l!, (v, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    if (i === j) return signs[i]! * Math.exp(logs[i]!);
    return i > j ? v : u![at]!;
  });
  return { order, lu };
}

function writeFactors(order: readonly number[], lu: Float64Array, out: SectionWriter): void {
  const n = order.length;
  const part = (inside: (i: number, j: number) => boolean, unit: number) =>
    lu.map((v, at) => {
      const [i, j] = [Math.floor(at / n), at % n];
      if (i === j) return unit;
      return inside(i, j) ? v : 0;
    });
  const diagonal = Array.from(order, (_, i) => lu[i * (n + 1)]!);
  const rowOf = inverseOrder(order);
  const ones = (column: (i: number) => number) =>
    lu.map((_, at) => (column(Math.floor(at / n)) === at % n ? 1 : 0));
  out.set(
    'P',
    [n, n],
    ones((i) => rowOf[i]!),
  );
  out.set(
    'L',
    [n, n],
    part((i, j) => i > j, 1),
  );
  out.set(
    'U',
    [n, n],
    part((i, j) => i < j, 0),
  );
  out.set('sign_S', [n], diagonal.map(Math.sign));
  out.set(
    'log_S',
    [n],
    diagonal.map((d) => Math.log(Math.abs(d))),
  );
  out.set(
    'eye',
    [n, n],
    ones((i) => i),
  );
}

const permute: Kind<ModuleContext> = {
  recognizes: (state) => state.has('perm'),
  read(state, { channels }) {
    state.skip('perm');
    return new Permutation({ channels, order: state.indicesOf('inv_perm', channels) });
  },
  async write(layer, out) {
    const { order, channels } = expectLayer(layer, Permutation, out);
    out.set('perm', [channels], inverseOrder(order));
    out.set('inv_perm', [channels], order);
  },
};

const permuteSwap: Kind<ModuleContext> = {
  read(_, { channels }) {
    const first = Math.ceil(channels / 2);
    const order = Array.from({ length: channels }, (_, i) => (i + first) % channels);
    return new Permutation({ channels, order });
  },
  async write() {},
};

/** A fixed permutation and a `LULinear`. */
const luLinearPermute: Kind<ModuleContext> = {
  recognizes: (state) => state.has('permutation') && state.has('linear'),
  read(state, { channels }) {
    const order = state.at('permutation').indicesOf('_permutation', channels);
    return new Sequential({
      permutation: new Permutation({ channels, order }),
      linear: readTriangles(state.at('linear')),
    });
  },
  async write(layer, out) {
    const layers = expectSequential(layer, out);
    const { order, channels } = expectLayer(layerOf(layers, 'permutation', out), Permutation, out);
    out.at('permutation').set('_permutation', [channels], order);
    await writeTriangles(layerOf(layers, 'linear', out), out.at('linear'));
  },
};

export const kinds: Kinds<ModuleContext> = {
  GlowBlock: glowBlock,
  AffineCouplingBlock: coupling,
  ActNorm: actNorm,
  AffineConstFlow: affineConst,
  Invertible1x1Conv: linear({ ndims: 2, factored: true }),
  Invertible1x1ConvWhole: linear({ ndims: 2, factored: false }),
  InvertibleAffine: linear({ ndims: 0, factored: true }),
  InvertibleAffineWhole: linear({ ndims: 0, factored: false }),
  Permute: permute,
  PermuteSwap: permuteSwap,
  LULinearPermute: luLinearPermute,
};

/** Scale and shift alternate among the outputs of a network. */
const alternating: OutputOrder = { scaleRow: (j) => 2 * j + 1, shiftRow: (j) => 2 * j };

/** s of z₂ ↦ s ⊙ z₂ + t, from the network's r: eʳ, 1/σ(r + 2) = 1 + e^(−r − 2), σ(r + 2). */
export const scaleMaps = {
  exp: () => ({ order: alternating, scaleFunction: exp() }),
  sigmoid: () => ({
    order: { ...alternating, factor: -1, offset: -2 },
    scaleFunction: exp({ low: 1 }),
  }),
  sigmoid_inv: () => ({ order: { ...alternating, offset: 2 }, scaleFunction: sigmoid() }),
};

/** The order for a scale function, by its name and options. */
function orderFor({ name, options }: Activation, out: SectionWriter): OutputOrder {
  const sought = JSON.stringify([name, options]);
  const found = Object.values(scaleMaps)
    .map((make) => make())
    .find(({ scaleFunction: f }) => JSON.stringify([f.name, f.options]) === sought);
  return found?.order ?? out.fail(`scales by ${name}; expected exp or sigmoid as imported`);
}
