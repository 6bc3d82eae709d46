/**
 * Matrix products and convolutions in WGSL, for WebGPU: one tiled product C = A·B whose operands are
 * read through functions, so that a convolution is a product with a gathered operand that is never
 * stored. A workgroup keeps panels of A and B in its own memory; an invocation holds a 4 × 4 block
 * of C in registers, so it loads 8 numbers for 16 multiplications. gpu.js kernels have no workgroup
 * memory, and load 5 for 4.
 *
 * Left out: vector loads and half precision.
 */
import type { ConvActivation, ConvGeometry, MatmulGeometry, Triple } from '../../backend.ts';

/** A kernel in WGSL: `main` over so many workgroups; bindings are the arrays, then the result. */
export interface WgslKernel {
  readonly code: string;
  readonly workgroups: readonly [number, number, number];
}

/** C[z] = A[z]·B[z], z below `slices`, with operands as WGSL: bodies of functions to f32. */
interface Product {
  readonly arrays: readonly string[];
  readonly slices: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** From z, m, k. */
  readonly a: string;
  /** From z, k, n. */
  readonly b: string;
  /** Statements that store `value` at z, m, n in `result`. */
  readonly store: string;
}

/** Depth of the panels in workgroup memory. */
const DEPTH = 16;
/** Workgroups along one axis of a dispatch, at most. */
const MAX_WORKGROUPS = 65_535;

export function matmulWgsl(g: MatmulGeometry): WgslKernel {
  const { batch, m, n, k } = g;
  const a = g.transposeA ? `k * ${m}u + m` : `m * ${k}u + k`;
  const b = g.transposeB ? `n * ${k}u + k` : `k * ${n}u + n`;
  return tiled({
    arrays: ['a', 'b'],
    slices: batch,
    m,
    n,
    k,
    a: `return a[${g.batchedA ? `z * ${m * k}u + ` : ''}${a}];`,
    b: `return b[${g.batchedB ? `z * ${k * n}u + ` : ''}${b}];`,
    store: `result[(z * ${m}u + m) * ${n}u + n] = value;`,
  });
}

/** Rows: output channels; columns: positions of all samples; depth: input channels and taps. */
export function convWgsl(
  withBias: boolean,
  activation: ConvActivation,
  g: ConvGeometry,
): WgslKernel {
  const { batch, inputChannels, outputChannels, kernel, output } = g;
  const taps = volume(kernel);
  const value = `value${withBias ? ' + bias[m]' : ''}`;
  return tiled({
    arrays: withBias ? ['x', 'w', 'bias'] : ['x', 'w'],
    slices: 1,
    m: outputChannels,
    n: batch * volume(output),
    k: inputChannels * taps,
    a: `return w[m * ${inputChannels * taps}u + k];`,
    b: `${sampleAndPosition(output)} ${channelAndTap(kernel)} ${gatherInput(g)}`,
    store: `${sampleAndPosition(output)}
      result[(sample * ${outputChannels}u + m) * ${volume(output)}u + position] =
        ${activation === 'relu' ? `max(${value}, 0.0)` : value};`,
  });
}

/** Rows: input channels; columns: input positions of all samples; depth: output channels and taps. */
export function convInputGradWgsl(g: ConvGeometry): WgslKernel {
  const { batch, inputChannels, outputChannels, kernel, input, output, stride, padding } = g;
  const taps = volume(kernel);
  return tiled({
    arrays: ['dy', 'w'],
    slices: 1,
    m: inputChannels,
    n: batch * volume(input),
    k: outputChannels * taps,
    a: `let o = k / ${taps}u; return w[(o * ${inputChannels}u + m) * ${taps}u + k % ${taps}u];`,
    b: `${sampleAndPosition(input)} ${channelAndTap(kernel)}
      let t = vec3i(at) + ${vector(padding)} - vec3i(tap);
      let q = t / ${vector(stride)};
      if (any(t < vec3i(0)) || any(q * ${vector(stride)} != t) || any(q >= ${vector(output)})) {
        return 0.0;
      }
      return dy[(sample * ${outputChannels}u + channel) * ${volume(output)}u + ${flat('q', output)}];`,
    store: `${sampleAndPosition(input)}
      result[(sample * ${inputChannels}u + m) * ${volume(input)}u + position] = value;`,
  });
}

/** Rows: output channels; columns: input channels and taps; depth: output positions. */
export function convFilterGradWgsl(g: ConvGeometry, perSample: boolean): WgslKernel {
  const { batch, inputChannels, outputChannels, kernel, output } = g;
  const n = inputChannels * volume(kernel);
  const positions = volume(output);
  // A slice is a sample, or all of them lie along the depth.
  const place = perSample
    ? `let sample = z; let position = k;`
    : `let sample = k / ${positions}u; let position = k % ${positions}u;`;
  return tiled({
    arrays: ['x', 'dy'],
    slices: perSample ? batch : 1,
    m: outputChannels,
    n,
    k: perSample ? positions : batch * positions,
    a: `${place} return dy[(sample * ${outputChannels}u + m) * ${positions}u + position];`,
    b: `${place} let at = ${unflat('position', output)};
      let channel = n / ${volume(kernel)}u;
      let tap = ${unflat(`(n % ${volume(kernel)}u)`, kernel)};
      ${gatherInput(g)}`,
    store: `result[(z * ${outputChannels}u + m) * ${n}u + n] = value;`,
  });
}

function tiled({ arrays, slices, m, n, k, a, b, store }: Product): WgslKernel {
  const [rows, columns] = m <= 16 ? [16, 64] : n <= 16 ? [64, 16] : [64, 64];
  const threads = (rows * columns) / 16;
  const columnTiles = Math.ceil(n / columns);
  const tiles = columnTiles * Math.ceil(m / rows);
  const across = Math.min(tiles, MAX_WORKGROUPS);
  const bindings = [...arrays, 'result'].map((name, i) => {
    const access = name === 'result' ? 'read_write' : 'read';
    return `@group(0) @binding(${i}) var<storage, ${access}> ${name} : array<f32>;`;
  });
  const code = `
    ${bindings.join('\n')}
    var<workgroup> panelA : array<f32, ${DEPTH * rows}>;
    var<workgroup> panelB : array<f32, ${DEPTH * columns}>;
    fn readA(z : u32, m : u32, k : u32) -> f32 {
      if (m >= ${m}u || k >= ${k}u) { return 0.0; }
      ${a}
    }
    fn readB(z : u32, k : u32, n : u32) -> f32 {
      if (k >= ${k}u || n >= ${n}u) { return 0.0; }
      ${b}
    }
    fn store(z : u32, m : u32, n : u32, value : f32) {
      if (m >= ${m}u || n >= ${n}u) { return; }
      ${store}
    }
    @compute @workgroup_size(${columns / 4}, ${rows / 4})
    fn main(
      @builtin(workgroup_id) group : vec3u,
      @builtin(local_invocation_id) local : vec3u,
      @builtin(local_invocation_index) thread : u32,
    ) {
      let tile = group.x + group.y * ${across}u;
      let z = group.z;
      let firstRow = (tile / ${columnTiles}u) * ${rows}u;
      let firstColumn = (tile % ${columnTiles}u) * ${columns}u;
      var sums : array<vec4f, 4>;
      for (var k0 = 0u; k0 < ${k}u; k0 += ${DEPTH}u) {
        for (var t = thread; t < ${DEPTH * rows}u; t += ${threads}u) {
          let row = t / ${DEPTH}u;
          panelA[(t % ${DEPTH}u) * ${rows}u + row] = readA(z, firstRow + row, k0 + t % ${DEPTH}u);
        }
        for (var t = thread; t < ${DEPTH * columns}u; t += ${threads}u) {
          panelB[t] = readB(z, k0 + t / ${columns}u, firstColumn + t % ${columns}u);
        }
        workgroupBarrier();
        for (var k = 0u; k < ${DEPTH}u; k++) {
          let i = k * ${rows}u + local.y * 4u;
          let j = k * ${columns}u + local.x * 4u;
          let right = vec4f(panelB[j], panelB[j + 1u], panelB[j + 2u], panelB[j + 3u]);
          sums[0] += panelA[i] * right;
          sums[1] += panelA[i + 1u] * right;
          sums[2] += panelA[i + 2u] * right;
          sums[3] += panelA[i + 3u] * right;
        }
        workgroupBarrier();
      }
      for (var r = 0u; r < 4u; r++) {
        for (var c = 0u; c < 4u; c++) {
          store(z, firstRow + local.y * 4u + r, firstColumn + local.x * 4u + c, sums[r][c]);
        }
      }
    }`;
  return { code, workgroups: [across, Math.ceil(tiles / across), slices] };
}

/** From column n: its sample, its position, and `at`, the position's coordinates. */
function sampleAndPosition(sizes: Triple): string {
  return `let sample = n / ${volume(sizes)}u; let position = n % ${volume(sizes)}u;
    let at = ${unflat('position', sizes)};`;
}

/** From depth k: a channel and the coordinates of a tap. */
function channelAndTap(kernel: Triple): string {
  return `let channel = k / ${volume(kernel)}u;
    let tap = ${unflat(`(k % ${volume(kernel)}u)`, kernel)};`;
}

/** Returns x[sample, channel, stride·at + tap − padding], 0 outside. */
function gatherInput({ inputChannels, input, stride, padding }: ConvGeometry): string {
  return `let p = vec3i(at) * ${vector(stride)} + vec3i(tap) - ${vector(padding)};
    if (any(p < vec3i(0)) || any(p >= ${vector(input)})) { return 0.0; }
    return x[(sample * ${inputChannels}u + channel) * ${volume(input)}u + ${flat('p', input)}];`;
}

function unflat(i: string, [, h, w]: Triple): string {
  return `vec3u(${i} / ${h * w}u, ${i} / ${w}u % ${h}u, ${i} % ${w}u)`;
}

function flat(v: string, [, h, w]: Triple): string {
  return `u32((${v}.x * ${h} + ${v}.y) * ${w} + ${v}.z)`;
}

function vector([d, h, w]: Triple): string {
  return `vec3i(${d}, ${h}, ${w})`;
}

function volume([d, h, w]: Triple): number {
  return d * h * w;
}
