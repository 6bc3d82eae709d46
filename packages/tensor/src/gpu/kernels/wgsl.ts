/** Matrix products and convolutions as tiled products in WGSL, for WebGPU. */
import type { ConvActivation, ConvGeometry, MatmulGeometry, Triple } from '../../backend.ts';
import { type Tiling, tilingOf } from './choice.ts';
import type { SizedSource, WgslKernel } from './shader.ts';
import { tiled } from './tiled.ts';

const lanes = [0, 1, 2, 3] as const;

export function matmulWgsl(g: MatmulGeometry): SizedSource {
  const key = `matmul:${Object.values(g).map(Number)}`;
  return { op: 'matmul', key, size: g.batch * g.m * g.n, wgsl: () => matmulKernel(g) };
}

export function convWgsl(
  withBias: boolean,
  activation: ConvActivation,
  g: ConvGeometry,
): SizedSource {
  const key = `conv:${withBias}:${activation}:${keyOf(g)}`;
  const size = g.batch * g.outputChannels * volume(g.output);
  return { op: 'conv', key, size, wgsl: () => convKernel(withBias, activation, g) };
}

/** Zero where `relu`, which is given then, is not positive. */
export function convInputGradWgsl(g: ConvGeometry, masked: boolean): SizedSource {
  const key = `convInputGrad:${masked}:${keyOf(g)}`;
  const size = g.batch * g.inputChannels * volume(g.input);
  return { op: 'convInputGrad', key, size, wgsl: () => convInputGradKernel(g, masked) };
}

/** The filter gradients of parts of all samples' positions, [parts, …]. */
export function convFilterGradWgsl(g: ConvGeometry, parts: number): SizedSource {
  const key = `convFilterGrad:${parts}:${keyOf(g)}`;
  const size = parts * g.outputChannels * g.inputChannels * volume(g.kernel);
  return { op: 'convFilterGrad', key, size, wgsl: () => convFilterGradKernel(g, parts) };
}

function keyOf(g: ConvGeometry): string {
  return Object.values(g).join(':');
}

export function matmulKernel(g: MatmulGeometry, tiling?: Tiling): WgslKernel {
  const { batch, m, n, k } = g;
  const aQuads = !g.transposeA && k % 4 === 0;
  const bQuads = !g.transposeB && n % 4 === 0;
  const aStart = g.batchedA ? `z * ${m * k} + ` : '';
  const bStart = g.batchedB ? `z * ${k * n} + ` : '';
  const [aStep, aAt] = g.transposeA ? [m, `k * ${m} + m`] : [1, `m * ${k} + k`];
  const [bStep, bAt] = g.transposeB ? [k, `n * ${k} + k`] : [1, `k * ${n} + n`];
  const quads = n % 4 === 0;
  return tiled(
    {
      arrays: [
        { name: 'a', quads: aQuads },
        { name: 'b', quads: bQuads },
      ],
      slices: batch,
      m,
      n,
      k,
      a: aQuads
        ? `return a[(${aStart}${aAt}) / 4];`
        : `let at = ${aStart}${aAt};
           return ${gathered(
             'a',
             (j) => `at + ${j * aStep}`,
             (j) => `k + ${j} < ${k}`,
           )};`,
      aAlongDepth: !g.transposeA,
      column: 'n : i32',
      columnAt: 'return Column(n);',
      b: bQuads
        ? `if (column.n >= ${n}) { return vec4f(); } let n = column.n; return b[(${bStart}${bAt}) / 4];`
        : `let n = column.n; let at = ${bStart}${bAt};
           return ${gathered(
             'b',
             (j) => `at + ${j * bStep}`,
             (j) => `n + ${j} < ${n}`,
           )};`,
      bAlongDepth: g.transposeB,
      quads,
      store: stored(quads, `(z * ${m} + m) * ${n} + n`, n),
    },
    tiling ?? tilingOf(m, n, batch),
  );
}

/** Rows: output channels; columns: positions of all samples; depth: input channels and taps. */
export function convKernel(
  withBias: boolean,
  activation: ConvActivation,
  g: ConvGeometry,
  tiling?: Tiling,
): WgslKernel {
  const { batch, inputChannels, outputChannels, kernel, input, output, stride, padding } = g;
  const [taps, positions] = [volume(kernel), volume(output)];
  const [n, k] = [batch * positions, inputChannels * taps];
  const aQuads = k % 4 === 0;
  const biased = `value${withBias ? ' + vec4f(bias[m])' : ''}`;
  const finished = activation === 'relu' ? `max(${biased}, vec4f())` : biased;
  return tiled(
    {
      arrays: [
        { name: 'x' },
        { name: 'w', quads: aQuads },
        ...(withBias ? [{ name: 'bias' }] : []),
      ],
      slices: 1,
      m: outputChannels,
      n,
      k,
      a: aQuads
        ? `return w[(m * ${k} + k) / 4];`
        : `let at = m * ${k} + k;
           return ${gathered(
             'w',
             (j) => `at + ${j}`,
             (j) => `k + ${j} < ${k}`,
           )};`,
      aAlongDepth: true,
      column: 'start : vec4i, z : vec4i, y : vec4i, x : vec4i',
      columnAt: `${positionsOfColumns(output, n)}
        let at0 = z4 * ${stride[0]} - ${padding[0]};
        let at1 = y4 * ${stride[1]} - ${padding[1]};
        let at2 = x4 * ${stride[2]} - ${padding[2]};
        let start = sample * ${inputChannels * volume(input)} + ${flat('at0', 'at1', 'at2', input)};
        return Column(start, select(vec4i(${FAR}), at0, inside), at1, at2);`,
      b: `let channel = k / ${taps}; ${tapOf(`k % ${taps}`, kernel)}
        let at = column.start + channel * ${volume(input)} + ${flat('tap0', 'tap1', 'tap2', input)};
        let ok = ${within('column.z + tap0', input[0])} & ${within('column.y + tap1', input[1])} &
          ${within('column.x + tap2', input[2])};
        return select(vec4f(), vec4f(${lanes.map((j) => `x[at[${j}]]`).join(', ')}), ok);`,
      bAlongDepth: false,
      quads: positions % 4 === 0,
      store: storedByPosition(outputChannels, positions, n, finished),
    },
    tiling ?? tilingOf(outputChannels, n, 1),
  );
}

/** Rows: input channels; columns: input positions of all samples; depth: output channels and taps. */
export function convInputGradKernel(g: ConvGeometry, masked: boolean, tiling?: Tiling): WgslKernel {
  const { batch, inputChannels, outputChannels, kernel, input, output, stride, padding } = g;
  const [taps, positions] = [volume(kernel), volume(input)];
  const [n, k] = [batch * positions, outputChannels * taps];
  const quads = positions % 4 === 0;
  // dx[p] takes dy[q] where stride·q + tap − padding = p.
  const source = (axis: 0 | 1 | 2, from: string) => `let t${axis} = ${from} - tap${axis};
    let q${axis} = t${axis}${stride[axis] === 1 ? '' : ` / ${stride[axis]}`};`;
  const matches = (axis: 0 | 1 | 2) =>
    `${within(`t${axis}`, output[axis] * stride[axis])}` +
    (stride[axis] === 1 ? '' : ` & (q${axis} * ${stride[axis]} == t${axis})`);
  const mask = quads
    ? 'relu[((sample * CHANNELS + m) * POSITIONS + position) / 4]'
    : `vec4f(${lanes.map((j) => `relu[to${j}]`).join(', ')})`;
  return tiled(
    {
      arrays: [{ name: 'dy' }, { name: 'w' }, ...(masked ? [{ name: 'relu', quads }] : [])],
      slices: 1,
      m: inputChannels,
      n,
      k,
      a: `return ${gathered(
        'w',
        (j) => `(((k + ${j}) / ${taps}) * ${inputChannels} + m) * ${taps} + (k + ${j}) % ${taps}`,
        (j) => `k + ${j} < ${k}`,
      )};`,
      aAlongDepth: taps > 1,
      column: 'start : vec4i, z : vec4i, y : vec4i, x : vec4i',
      columnAt: `${positionsOfColumns(input, n)}
        let at0 = z4 + ${padding[0]}; let at1 = y4 + ${padding[1]}; let at2 = x4 + ${padding[2]};
        return Column(sample * ${outputChannels * volume(output)},
          select(vec4i(${FAR}), at0, inside), at1, at2);`,
      b: `let channel = k / ${taps}; ${tapOf(`k % ${taps}`, kernel)}
        ${source(0, 'column.z')} ${source(1, 'column.y')} ${source(2, 'column.x')}
        let at = column.start + channel * ${volume(output)} + ${flat('q0', 'q1', 'q2', output)};
        let ok = ${matches(0)} & ${matches(1)} & ${matches(2)};
        return select(vec4f(), vec4f(${lanes.map((j) => `dy[at[${j}]]`).join(', ')}), ok);`,
      bAlongDepth: false,
      quads,
      store: storedByPosition(
        inputChannels,
        positions,
        n,
        masked ? 'select(vec4f(), value, MASK > vec4f())' : 'value',
        mask,
      ),
    },
    tiling ?? tilingOf(inputChannels, n, 1),
  );
}

/** Rows: output channels; columns: input channels and taps; depth: a part of all samples' positions. */
export function convFilterGradKernel(g: ConvGeometry, parts: number, tiling?: Tiling): WgslKernel {
  const { batch, inputChannels, outputChannels, kernel, input, output, stride, padding } = g;
  const [taps, positions] = [volume(kernel), volume(output)];
  const n = inputChannels * taps;
  const all = batch * positions;
  const cut = tiling ?? tilingOf(outputChannels, n, parts);
  const unit = cut.depth * cut.groups;
  const k = parts === 1 ? all : unit * Math.ceil(all / parts / unit);
  const aQuads = positions % 4 === 0;
  const beyond = parts * k > all ? `if (at >= ${all}) { return vec4f(); }` : '';
  return tiled(
    {
      arrays: [{ name: 'x' }, { name: 'dy', quads: aQuads }],
      slices: parts,
      m: outputChannels,
      n,
      k,
      a: aQuads
        ? `let at = z * ${k} + k; ${beyond}
           return dy[(((at / ${positions}) * ${outputChannels} + m) * ${positions} + at % ${positions}) / 4];`
        : `let first = z * ${k} + k;
           return ${gathered(
             'dy',
             (j) => {
               const at = `(first + ${j})`;
               return `(${at} / ${positions} * ${outputChannels} + m) * ${positions} + ${at} % ${positions}`;
             },
             (j) => `first + ${j} < ${all} && k + ${j} < ${k}`,
           )};`,
      aAlongDepth: true,
      column: 'start : vec4i, z : vec4i, y : vec4i, x : vec4i',
      columnAt: `let n4 = n + vec4i(0, 1, 2, 3); let channel = n4 / ${taps};
        ${tapOf(`n4 % ${taps}`, kernel)}
        let at0 = tap0 - ${padding[0]}; let at1 = tap1 - ${padding[1]}; let at2 = tap2 - ${padding[2]};
        let start = channel * ${volume(input)} + ${flat('at0', 'at1', 'at2', input)};
        return Column(start, select(vec4i(${FAR}), at0, n4 < vec4i(${n})), at1, at2);`,
      b: `let at = z * ${k} + k; ${beyond}
        let sample = at / ${positions}; let position = at % ${positions};
        let p0 = position / ${output[1] * output[2]} * ${stride[0]};
        let p1 = position / ${output[2]} % ${output[1]} * ${stride[1]};
        let p2 = position % ${output[2]} * ${stride[2]};
        let first = column.start + sample * ${inputChannels * volume(input)} + ${flat('p0', 'p1', 'p2', input)};
        let ok = ${within('column.z + p0', input[0])} & ${within('column.y + p1', input[1])} &
          ${within('column.x + p2', input[2])};
        return select(vec4f(), vec4f(${lanes.map((j) => `x[first[${j}]]`).join(', ')}), ok);`,
      bAlongDepth: true,
      quads: n % 4 === 0,
      store: stored(n % 4 === 0, `(z * ${outputChannels} + m) * ${n} + n`, n),
    },
    cut,
  );
}

/** A coordinate that is outside of every image, whatever is added to it. */
const FAR = -(2 ** 29);

/** From column n: samples and coordinates of four positions, and which of them are in range. */
function positionsOfColumns(sizes: Triple, n: number): string {
  return `let n4 = n + vec4i(0, 1, 2, 3); let inside = n4 < vec4i(${n});
    let sample = n4 / ${volume(sizes)}; let position = n4 % ${volume(sizes)};
    let z4 = position / ${sizes[1] * sizes[2]};
    let y4 = position / ${sizes[2]} % ${sizes[1]};
    let x4 = position % ${sizes[2]};`;
}

/** The coordinates of a tap as tap0, tap1 and tap2. */
function tapOf(tap: string, [, h, w]: Triple): string {
  return `let tap = ${tap}; let tap0 = tap / ${h * w}; let tap1 = tap / ${w} % ${h}; let tap2 = tap % ${w};`;
}

function within(at: string, size: number): string {
  return `(${at} >= vec4i()) & (${at} < vec4i(${size}))`;
}

function flat(z: string, y: string, x: string, [, h, w]: Triple): string {
  return `(${z} * ${h} + ${y}) * ${w} + ${x}`;
}

/** Four numbers of an array, zero where they are out of range. */
function gathered(
  array: string,
  index: (lane: number) => string,
  valid: (lane: number) => string,
): string {
  return `vec4f(${lanes.map((j) => `select(0.0, ${array}[${index(j)}], ${valid(j)})`).join(', ')})`;
}

/** Stores `value` at four places from `at` on, as far as n is below its size. */
function stored(quads: boolean, at: string, n: number): string {
  if (quads) return `result[(${at}) / 4] = value;`;
  return `let at = ${at};
    ${lanes.map((j) => `if (n + ${j} < ${n}) { result[at + ${j}] = value[${j}]; }`).join('\n')}`;
}

/** Stores a value at four positions from column n on, in [samples, channels, positions]. */
function storedByPosition(
  channels: number,
  positions: number,
  n: number,
  finished: string,
  mask = '',
): string {
  const fill = (text: string) =>
    text
      .replaceAll('MASK', mask)
      .replaceAll('CHANNELS', `${channels}`)
      .replaceAll('POSITIONS', `${positions}`);
  if (positions % 4 === 0) {
    return `let sample = n / ${positions}; let position = n % ${positions};
      result[((sample * ${channels} + m) * ${positions} + position) / 4] = ${fill(finished)};`;
  }
  const places = lanes.map((j) => {
    const column = `(n + ${j})`;
    return `let to${j} = (${column} / ${positions} * ${channels} + m) * ${positions} + ${column} % ${positions};`;
  });
  return `${places.join('\n')} let made = ${fill(finished)};
    ${lanes.map((j) => `if (n + ${j} < ${n}) { result[to${j}] = made[${j}]; }`).join('\n')}`;
}

function volume([d, h, w]: Triple): number {
  return d * h * w;
}
