/**
 * Rational-quadratic splines in WGSL, one invocation for a number: its bins are walked in arrays of its own.
 * Mathematics: docs/math/transformers/splines.md
 */
import type { SplineGeometry } from '../../spline.ts';
import {
  builtins,
  declare,
  MAX_WORKGROUPS,
  THREADS,
  type WgslKernel,
  type WgslSource,
} from './shader.ts';

/** Which of x and y is given, for how many numbers. */
export interface SplineCall {
  readonly fromY: boolean;
  readonly inverse: boolean;
  readonly numbers: number;
}

/** The other one of x and y, and the logarithm of the slope of the map that was asked for. */
export function splineSource(g: SplineGeometry, call: SplineCall): WgslSource {
  const wgsl = (): WgslKernel => {
    const { text, bound } = declare(
      [{ name: 'given' }, { name: 'p' }],
      [{ name: 'found' }, { name: 'logs' }],
    );
    const body = call.fromY
      ? `found[i] = select(c + ${slopedTail(g, 'beyond / slope')}, theta * bx.length + bx.start, inside);
         logs[i] = -logSlope;`
      : `found[i] = select(c + ${slopedTail(g, 'beyond * slope')}, by.start + by.length * share, inside);
         logs[i] = logSlope;`;
    return { code: `${text} ${main(g, call, body)}`, ...bound, workgroups: workgroupsOf(call) };
  };
  return { op: 'spline', key: `spline:${keyOf(g, call)}`, wgsl };
}

/** The other one of x and y, and the gradients of what was found and of the parameters. */
export function splineBackSource(
  g: SplineGeometry,
  call: SplineCall,
  weighted: boolean,
): WgslSource {
  const wgsl = (): WgslKernel => {
    const { text, bound } = declare(
      [
        { name: 'given' },
        { name: 'p' },
        { name: 'dgiven' },
        ...(weighted ? [{ name: 'dlogs' }] : []),
      ],
      [{ name: 'found' }, { name: 'dfound' }, { name: 'dp' }],
    );
    const sloped = g.tails === 'linear';
    const state = call.fromY
      ? `let tail = ${slopedTail(g, 'beyond / slope')};
         found[i] = select(c + tail, theta * bx.length + bx.start, inside);`
      : `let tail = beyond;
         found[i] = select(c + ${slopedTail(g, 'beyond * slope')}, by.start + by.length * share, inside);`;
    const gradient = call.inverse
      ? `let dy = select(${sloped ? 'g / slope' : 'g'}, (g - dl * bend) / slope, inside);
         dfound[i] = dy;`
      : `let dy = g;
         dfound[i] = select(${sloped ? 'g * slope' : 'g'}, g * slope + dl * bend, inside);`;
    const sign = call.inverse ? '-' : '';
    const body = `
      let perWidth = 1.0 / bx.length;
      let perBottom = 1.0 / bottom;
      let bend = 2.0 * perWidth * ((b * theta - a * rest + delta * turn) / steepness - curvature * turn * perBottom);
      ${state}
      let g = dgiven[i];
      let dl = ${weighted ? 'dlogs[i]' : '0.0'};
      ${gradient}
      let gl = ${sign}(${sloped ? 'dl + dy * tail * slope' : 'select(0.0, dl, inside)'});
      let gy = ${sign}select(0.0, dy, inside);
      let flat = 1.0 - 2.0 * u;
      let scaled = by.length * perBottom;
      let yByDelta = scaled * (theta * theta - share * flat);
      let logByDelta = 2.0 * (1.0 / delta + u / steepness - flat * perBottom);
      let ddelta = (gy * yByDelta + gl * logByDelta) * perWidth;
      let dstart = -(gy * slope + gl * bend);
      partitionGrad(at, &ew, bx, sumX, WIDTH_FACTOR, dstart, dstart * theta - ddelta * delta);
      partitionGrad(at + K * SIZE, &eh, by, sumY, HEIGHT_FACTOR, gy, gy * share + ddelta);
      let both = 2.0 * u * perBottom;
      let da = gy * scaled * u * (1.0 - share) + gl * (rest * rest / steepness - both);
      let db = gl * (theta * theta / steepness - both) - gy * scaled * u * share;
      for (var j = 0u; j < COUNT - 2u * K; j++) {
        let edge = j + FIRST;
        let raw = p[at + (2u * K + j) * SIZE];
        var grad = 0.0;
        if (edge == bx.index) { grad += da; }
        if (edge == behind(bx.index)) { grad += db; }
        dp[at + (2u * K + j) * SIZE] = grad * slopeGrad(raw);
      }`;
    const code = `${text} ${partitionGrad(g)} ${main(g, call, body)}`;
    return { code, ...bound, workgroups: workgroupsOf(call) };
  };
  return { op: 'spline', key: `splineBack:${weighted}:${keyOf(g, call)}`, wgsl };
}

function workgroupsOf({ numbers }: SplineCall): readonly [number, number, number] {
  return [Math.min(Math.ceil(numbers / THREADS), MAX_WORKGROUPS), 1, 1];
}

function keyOf(g: SplineGeometry, { fromY, inverse, numbers }: SplineCall): string {
  const { size, bins, parameters, low, high, minWidth, minHeight, minSlope, softClamp, tails } = g;
  const form = [size, bins, parameters, low, high, minWidth, minHeight, minSlope, softClamp, tails];
  return [...form, fromY, inverse, numbers].join(':');
}

/** What lies beyond the interval, along the line that goes on there. */
function slopedTail(g: SplineGeometry, sloped: string): string {
  return g.tails === 'linear' ? sloped : 'beyond';
}

/** The gradients of a softmax's parameters, for those of the bin's edge and length. */
function partitionGrad({ softClamp }: SplineGeometry): string {
  return `
    fn partitionGrad(
      at : u32, e : ptr<function, array<f32, K>>, bin : Bin, sum : f32, factor : f32, dstart : f32, dlength : f32,
    ) {
      let mean = (bin.share * dlength + bin.before * dstart) / sum;
      for (var k = 0u; k < K; k++) {
        var grad = -mean;
        if (k < bin.index) { grad += dstart; }
        if (k == bin.index) { grad += dlength; }
        grad *= factor / sum * (*e)[k];
        ${softClamp === undefined ? '' : 'let d = damping(p[at + k * SIZE], 2.0 * CLAMP); grad *= d * d;'}
        dp[at + k * SIZE] = grad;
      }
    }`;
}

/** All of a kernel but for its arrays, with `body` for each number i. */
function main(g: SplineGeometry, { fromY, numbers }: SplineCall, body: string): string {
  const { size, bins, parameters, low, high, minWidth, minHeight, minSlope, softClamp, tails } = g;
  const [range, room] = [high - low, 1 - minSlope];
  const ends = tails === 'identity';
  const growth =
    softClamp === undefined
      ? 'softplus(u + OFFSET)'
      : '(1.0 - MIN_SLOPE) * exp(u * damping(u, CLAMP))';
  const growthGrad =
    softClamp === undefined
      ? '1.0 / (1.0 + exp(-(u + OFFSET)))'
      : '(1.0 - MIN_SLOPE) * exp(u * damping(u, CLAMP)) * damping(u, CLAMP) * damping(u, CLAMP)';
  const located = fromY
    ? `let by = locate(&eh, HEIGHT_FACTOR / sumY, MIN_HEIGHT, c, -1);
       let bx = locate(&ew, WIDTH_FACTOR / sumX, MIN_WIDTH, c, i32(by.index));`
    : `let bx = locate(&ew, WIDTH_FACTOR / sumX, MIN_WIDTH, c, -1);
       let by = locate(&eh, HEIGHT_FACTOR / sumY, MIN_HEIGHT, c, i32(bx.index));`;
  const theta = fromY
    ? `let zeta = c - by.start;
       let bent = zeta * curvature;
       let half = by.length * a - bent;
       let square = half * half + 4.0 * (by.length * (delta - a) + bent) * delta * zeta;
       let theta = min(1.0, 2.0 * delta * zeta / (half + sqrt(max(square, 0.0))));`
    : 'let theta = min(1.0, (c - bx.start) / bx.length);';
  return `
    const SIZE = ${size}u; const K = ${bins}u; const COUNT = ${parameters}u; const TOTAL = ${numbers}u;
    const FIRST = ${ends ? 1 : 0}u;
    const LOW = f32(${low}); const HIGH = f32(${high}); const MIN_SLOPE = f32(${minSlope});
    const MIN_WIDTH = f32(${range * minWidth}); const MIN_HEIGHT = f32(${range * minHeight});
    const WIDTH_FACTOR = f32(${range * (1 - bins * minWidth)});
    const HEIGHT_FACTOR = f32(${range * (1 - bins * minHeight)});
    const OFFSET = f32(${Math.log(Math.expm1(room))}); const CLAMP = f32(${softClamp === undefined ? 0 : 1 / softClamp});
    struct Bin { start : f32, length : f32, share : f32, before : f32, index : u32 }
    fn damping(u : f32, clamp : f32) -> f32 { return 1.0 / (1.0 + clamp * abs(u)); }
    fn softplus(u : f32) -> f32 { return max(u, 0.0) + log(1.0 + exp(-abs(u))); }
    fn slopeOf(u : f32) -> f32 { return MIN_SLOPE + ${growth}; }
    fn slopeGrad(u : f32) -> f32 { return ${growthGrad}; }
    fn behind(bin : u32) -> u32 { return ${tails === 'circular' ? '(bin + 1u) % K' : 'bin + 1u'}; }
    fn slopeAt(at : u32, edge : u32) -> f32 {
      ${ends ? 'if (edge == 0u || edge == K) { return 1.0; }' : ''}
      return slopeOf(p[at + (2u * K + edge - FIRST) * SIZE]);
    }
    fn exponentials(at : u32, e : ptr<function, array<f32, K>>) -> f32 {
      var most = -3.0e38;
      for (var k = 0u; k < K; k++) {
        var u = p[at + k * SIZE];
        ${softClamp === undefined ? '' : 'u *= damping(u, 2.0 * CLAMP);'}
        (*e)[k] = u;
        most = max(most, u);
      }
      var sum = 0.0;
      for (var k = 0u; k < K; k++) {
        (*e)[k] = exp((*e)[k] - most);
        sum += (*e)[k];
      }
      return sum;
    }
    fn locate(e : ptr<function, array<f32, K>>, scale : f32, least : f32, number : f32, known : i32) -> Bin {
      var bin = Bin(LOW, 0.0, 0.0, 0.0, 0u);
      var edge = LOW;
      var before = 0.0;
      for (var k = 0u; k < K; k++) {
        let share = (*e)[k];
        let length = select(share * scale + least, HIGH - edge, k == K - 1u);
        if (select(number >= edge, known >= i32(k), known >= 0)) { bin = Bin(edge, length, share, before, k); }
        edge += length;
        before += share;
      }
      return bin;
    }
    @compute @workgroup_size(${THREADS}) fn main(${builtins}) {
      for (var i = group.x * ${THREADS}u + thread; i < TOTAL; i += groups.x * ${THREADS}u) {
        let at = i / SIZE * COUNT * SIZE + i % SIZE;
        let c = clamp(given[i], LOW, HIGH);
        let beyond = given[i] - c;
        let inside = beyond == 0.0;
        var ew : array<f32, K>;
        var eh : array<f32, K>;
        let sumX = exponentials(at, &ew);
        let sumY = exponentials(at + K * SIZE, &eh);
        ${located}
        let a = slopeAt(at, bx.index);
        let b = slopeAt(at, behind(bx.index));
        let delta = by.length / bx.length;
        let curvature = a + b - 2.0 * delta;
        ${theta}
        let rest = 1.0 - theta;
        let turn = rest - theta;
        let u = theta * rest;
        let bottom = delta + curvature * u;
        let steepness = b * theta * theta + a * rest * rest + 2.0 * delta * u;
        let slope = delta / bottom * (delta / bottom) * steepness;
        let share = (delta * theta * theta + a * u) / bottom;
        let logSlope = ${tails === 'linear' ? 'log(slope)' : 'select(0.0, log(slope), inside)'};
        ${body}
      }
    }`;
}
