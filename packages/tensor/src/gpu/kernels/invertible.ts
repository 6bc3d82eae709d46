/**
 * Passes over invertible layers in WGSL: affine couplings with a logistic scale, scales and shifts per
 * channel, and products of reflections, each with its log-determinant and its derivatives. The sums are
 * taken by workgroups; where one has more than `PIECE` numbers to add up, several leave a sum each, and
 * a reduction adds those up.
 */
import type { ChannelGeometry, CouplingGeometry } from '../../backend.ts';
import {
  builtins,
  declare,
  MAX_WORKGROUPS,
  overAll,
  THREADS,
  type WgslKernel,
  type WgslSource,
} from './shader.ts';

/** Numbers that a workgroup goes through, at least. */
const PIECE = 4096;

/** How many workgroups share a sum of so many numbers. */
export function pieces(length: number): number {
  return Math.ceil(length / PIECE);
}

/** A coupling's `main`, whose workgroups go through pieces of samples, and what its body reads. */
function couplingMain(g: CouplingGeometry, body: string): Pick<WgslKernel, 'code' | 'workgroups'> {
  const { batch, kept, size, low, high } = g;
  const parts = pieces(size);
  const threads = couplingThreads(g);
  const code = `
    const BATCH = ${batch}u; const KEPT = ${kept}u; const SIZE = ${size}u; const SAMPLE = ${kept + size}u;
    const PARTS = ${parts}u; const STEP = ${parts * threads}u;
    const LOW = f32(${low}); const WIDTH = f32(${high - low});
    fn sigma(r : f32) -> f32 { return 1.0 / (1.0 + exp(-r)); }
    @compute @workgroup_size(${threads}) fn main(${builtins}) {
      let first = group.x * ${threads}u + thread;
      for (var n = group.y; n < BATCH; n += groups.y) {
        let start = n * SAMPLE;
        ${body}
      }
    }`;
  return { code, workgroups: [parts, Math.min(batch, MAX_WORKGROUPS), 1] };
}

/** Samples of a few numbers do with fewer invocations. */
function couplingThreads({ size }: CouplingGeometry): number {
  return size < THREADS ? 64 : THREADS;
}

function couplingKey({ inverse, batch, kept, size, low, high }: CouplingGeometry): string {
  return [inverse, batch, kept, size, low, high].join(':');
}

/** y, and for each sample the sums of log s of its pieces, negative for the inverse. */
export function coupleSource(g: CouplingGeometry): WgslSource {
  const wgsl = (): WgslKernel => {
    const { text, bound } = declare(
      [{ name: 'x' }, { name: 'rt' }],
      [{ name: 'y' }, { name: 'sums' }],
    );
    const { code, workgroups } = couplingMain(
      g,
      `for (var i = first; i < KEPT; i += STEP) { y[start + i] = x[start + i]; }
       var total = 0.0;
       for (var i = first; i < SIZE; i += STEP) {
         let r = 2u * n * SIZE + i;
         let s = LOW + WIDTH * sigma(rt[r]);
         let at = start + KEPT + i;
         y[at] = ${g.inverse ? '(x[at] - rt[r + SIZE]) / s' : 's * x[at] + rt[r + SIZE]'};
         total ${g.inverse ? '-' : '+'}= log(s);
       }
       let sum = overAll(thread, total);
       if (thread == 0u) { sums[n * PARTS + group.x] = sum; }`,
    );
    return { code: `${text} ${overAll('f32', couplingThreads(g))} ${code}`, ...bound, workgroups };
  };
  return { op: 'couple', key: `couple:${couplingKey(g)}`, wgsl };
}

/**
 * Of y = s x + t: x = (y − t)/s, dx = s dy, ds = dy x + dl/s, dt = dy; of the inverse, where x and y have
 * changed places: y = s x + t, dy = dx/s, ds = −(dy x + dl/s), dt = −dy. Always dr = ds·s′(r).
 */
export function coupleBackSource(g: CouplingGeometry, weighted: boolean): WgslSource {
  const wgsl = (): WgslKernel => {
    const { text, bound } = declare(
      [{ name: 'y' }, { name: 'dy' }, { name: 'rt' }, ...(weighted ? [{ name: 'dlogdet' }] : [])],
      [{ name: 'x' }, { name: 'dx' }, { name: 'drt' }],
    );
    const moved = g.inverse
      ? `let moved = dy[at] / s;
         x[at] = s * y[at] + rt[r + SIZE];
         dx[at] = moved;
         drt[r] = -slope * (moved * y[at] + dl / s);
         drt[r + SIZE] = -moved;`
      : `let state = (y[at] - rt[r + SIZE]) / s;
         x[at] = state;
         dx[at] = s * dy[at];
         drt[r] = slope * (dy[at] * state + dl / s);
         drt[r + SIZE] = dy[at];`;
    const { code, workgroups } = couplingMain(
      g,
      `for (var i = first; i < KEPT; i += STEP) {
         x[start + i] = y[start + i];
         dx[start + i] = dy[start + i];
       }
       let dl = ${weighted ? 'dlogdet[n]' : '0.0'};
       for (var i = first; i < SIZE; i += STEP) {
         let r = 2u * n * SIZE + i;
         let at = start + KEPT + i;
         let p = sigma(rt[r]);
         let s = LOW + WIDTH * p;
         let slope = WIDTH * p * (1.0 - p);
         ${moved}
       }`,
    );
    return { code: `${text} ${code}`, ...bound, workgroups };
  };
  return { op: 'coupleBack', key: `coupleBack:${weighted}:${couplingKey(g)}`, wgsl };
}

function channelKey({ inverse, batch, channels, positions }: ChannelGeometry): string {
  return [inverse, batch, channels, positions].join(':');
}

/** y, and the log-determinant of each sample, which the first workgroup sums. */
export function channelAffineSource(g: ChannelGeometry): WgslSource {
  const { inverse, batch, channels, positions } = g;
  const wgsl = (): WgslKernel => {
    const size = batch * channels * positions;
    const { text, bound } = declare(
      [{ name: 'x' }, { name: 'scale' }, { name: 'shift' }],
      [{ name: 'y' }, { name: 'logdet' }],
    );
    const code = `${text} ${overAll('f32')}
      @compute @workgroup_size(${THREADS}) fn main(${builtins}) {
        for (var i = group.x * ${THREADS}u + thread; i < ${size}u; i += groups.x * ${THREADS}u) {
          let c = i / ${positions}u % ${channels}u;
          y[i] = ${inverse ? '(x[i] - shift[c]) / scale[c]' : 'scale[c] * x[i] + shift[c]'};
        }
        if (group.x > 0u) { return; }
        var total = 0.0;
        for (var c = thread; c < ${channels}u; c += ${THREADS}u) { total += log(abs(scale[c])); }
        let sum = ${inverse ? -positions : positions}.0 * overAll(thread, total);
        for (var n = thread; n < ${batch}u; n += ${THREADS}u) { logdet[n] = sum; }
      }`;
    return { ...bound, code, workgroups: [Math.min(1024, Math.ceil(size / THREADS)), 1, 1] };
  };
  return { op: 'channelAffine', key: `channelAffine:${channelKey(g)}`, wgsl };
}

/**
 * Of y = s x + b: x = (y − b)/s, dx = s dy, ds = Σ dy x, db = Σ dy; of the inverse, where x and y have
 * changed places: y = s x + b, dy = dx/s, ds = −Σ dy x, db = −Σ dy. Channels leave the sums of their
 * pieces, and the first piece adds what the log-determinant asks for, ±positions/s·Σ dlogdet.
 */
export function channelAffineBackSource(g: ChannelGeometry, weighted: boolean): WgslSource {
  const { inverse, batch, channels, positions } = g;
  const wgsl = (): WgslKernel => {
    const parts = pieces(batch * positions);
    const { text, bound } = declare(
      [
        ...['y', 'dy', 'scale', 'shift'].map((name) => ({ name })),
        ...(weighted ? [{ name: 'dlogdet' }] : []),
      ],
      ['x', 'dx', 'dscale', 'dshift'].map((name) => ({ name })),
    );
    const moved = inverse
      ? `let moved = dy[at] / s;
         x[at] = s * y[at] + b;
         dx[at] = moved;
         sums -= vec2f(moved * y[at], moved);`
      : `let state = (y[at] - b) / s;
         x[at] = state;
         dx[at] = s * dy[at];
         sums += vec2f(dy[at] * state, dy[at]);`;
    const weight = `if (group.x == 0u) {
        for (var n = thread; n < ${batch}u; n += ${THREADS}u) {
          sums.x += ${inverse ? -positions : positions}.0 * dlogdet[n] / s;
        }
      }`;
    const code = `${text} ${overAll('vec2f')}
      @compute @workgroup_size(${THREADS}) fn main(${builtins}) {
        let c = group.y;
        let s = scale[c];
        let b = shift[c];
        var sums = vec2f();
        for (var i = group.x * ${THREADS}u + thread; i < ${batch * positions}u; i += ${parts * THREADS}u) {
          let at = (i / ${positions}u * ${channels}u + c) * ${positions}u + i % ${positions}u;
          ${moved}
        }
        ${weighted ? weight : ''}
        let total = overAll(thread, sums);
        if (thread == 0u) {
          dscale[c * ${parts}u + group.x] = total.x;
          dshift[c * ${parts}u + group.x] = total.y;
        }
      }`;
    return { ...bound, code, workgroups: [parts, channels, 1] };
  };
  return { op: 'channelAffineBack', key: `channelAffineBack:${weighted}:${channelKey(g)}`, wgsl };
}

/**
 * H(v₁)H(v₂)H(v₃) = I − Σ T[i, j] vᵢvⱼᵀ with an upper triangular T of aᵢ = 2/|vᵢ|² and the products of
 * the vectors, d; each workgroup finds it for itself.
 */
const triangle = (size: number) => `
  fn products(thread : u32) -> array<vec4f, 2> {
    var n = vec4f();
    var d = vec4f();
    for (var i = thread; i < ${size}u; i += ${THREADS}u) {
      let v = vec4f(v1[i], v2[i], v3[i], 0.0);
      n += v * v;
      d += v * v.yzxw;
    }
    return array(2.0 / overAll(thread, n), overAll(thread, d));
  }`;
/** From products: a, the d of 12, 23 and 13, and the parts of T above its diagonal. */
const unpacked = `
  let found = products(thread);
  let a = found[0];
  let d12 = found[1].x; let d23 = found[1].y; let d13 = found[1].z;
  let t12 = -a.x * a.y * d12;
  let t23 = -a.y * a.z * d23;
  let t13 = a.x * a.z * (a.y * d12 * d23 - d13);`;

/** W = H(v₁)H(v₂)H(v₃) */
export function reflectionsSource(size: number): WgslSource {
  const wgsl = (): WgslKernel => {
    const { text, bound } = declare(
      [{ name: 'v1' }, { name: 'v2' }, { name: 'v3' }],
      [{ name: 'w' }],
    );
    const code = `${text} ${overAll('vec4f')} ${triangle(size)}
      @compute @workgroup_size(${THREADS}) fn main(${builtins}) {
        ${unpacked}
        for (var at = group.x * ${THREADS}u + thread; at < ${size * size}u; at += groups.x * ${THREADS}u) {
          let i = at / ${size}u;
          let j = at % ${size}u;
          let right = vec3f(
            a.x * v1[j] + t12 * v2[j] + t13 * v3[j],
            a.y * v2[j] + t23 * v3[j],
            a.z * v3[j],
          );
          w[at] = select(0.0, 1.0, i == j) - dot(vec3f(v1[i], v2[i], v3[i]), right);
        }
      }`;
    return { ...bound, code, workgroups: [Math.min(64, Math.ceil((size * size) / 1024)), 1, 1] };
  };
  return { op: 'reflections', key: `reflections:${size}`, wgsl };
}

/**
 * Gradients of the vectors for G = ∂loss/∂W. With M[i, j] = vᵢᵀG vⱼ the loss moves by −Σ T[i, j] M[i, j]:
 * through the vectors in M, through aᵢ, which moves by −aᵢ² vᵢᵀdvᵢ, and through the products d. `scratch`
 * holds G vⱼ and Gᵀvᵢ.
 */
export function reflectionsBackSource(size: number): WgslSource {
  const wgsl = (): WgslKernel => {
    const { text, bound } = declare(
      ['v1', 'v2', 'v3', 'g'].map((name) => ({ name })),
      ['d1', 'd2', 'd3', 'scratch'].map((name) => ({ name })),
    );
    const code = `${text} ${overAll('vec4f')} ${triangle(size)}
      @compute @workgroup_size(${THREADS}) fn main(${builtins}) {
        ${unpacked}
        var diagonal = vec4f();
        var above = vec4f();
        for (var c = thread; c < ${size}u; c += ${THREADS}u) {
          var p = vec3f();
          var q = vec3f();
          for (var i = 0u; i < ${size}u; i++) {
            let v = vec3f(v1[i], v2[i], v3[i]);
            p += g[c * ${size}u + i] * v;
            q += g[i * ${size}u + c] * v;
          }
          for (var j = 0u; j < 3u; j++) {
            scratch[j * ${size}u + c] = p[j];
            scratch[(j + 3u) * ${size}u + c] = q[j];
          }
          diagonal += vec4f(v1[c] * p.x, v2[c] * p.y, v3[c] * p.z, 0.0);
          above += vec4f(v1[c] * p.y, v2[c] * p.z, v1[c] * p.z, 0.0);
        }
        let m = overAll(thread, diagonal);
        let n = overAll(thread, above);
        let m12 = n.x; let m23 = n.y; let m13 = n.z;
        let both = a.x * a.z * m13;
        // The loss by a, and by d.
        let byA1 = -m.x + a.y * d12 * m12 - a.z * (a.y * d12 * d23 - d13) * m13;
        let byA2 = -m.y + a.x * d12 * m12 + a.z * d23 * m23 - a.x * a.z * d12 * d23 * m13;
        let byA3 = -m.z + a.y * d23 * m23 - a.x * (a.y * d12 * d23 - d13) * m13;
        let byD12 = a.x * a.y * m12 - both * a.y * d23;
        let byD23 = a.y * a.z * m23 - both * a.y * d12;
        let byD13 = both;
        for (var c = thread; c < ${size}u; c += ${THREADS}u) {
          let v = vec3f(v1[c], v2[c], v3[c]);
          let p = vec3f(scratch[c], scratch[${size}u + c], scratch[${2 * size}u + c]);
          let q = vec3f(scratch[${3 * size}u + c], scratch[${4 * size}u + c], scratch[${5 * size}u + c]);
          d1[c] = -(a.x * (p.x + q.x) + t12 * p.y + t13 * p.z)
            - byA1 * a.x * a.x * v.x + byD12 * v.y + byD13 * v.z;
          d2[c] = -(a.y * (p.y + q.y) + t23 * p.z + t12 * q.x)
            - byA2 * a.y * a.y * v.y + byD12 * v.x + byD23 * v.z;
          d3[c] = -(a.z * (p.z + q.z) + t23 * q.y + t13 * q.x)
            - byA3 * a.z * a.z * v.z + byD13 * v.x + byD23 * v.y;
        }
      }`;
    return { ...bound, code, workgroups: [1, 1, 1] };
  };
  return { op: 'reflectionsBack', key: `reflectionsBack:${size}`, wgsl };
}
