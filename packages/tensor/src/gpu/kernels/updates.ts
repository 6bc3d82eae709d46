/**
 * Updates in place, in WGSL, for devices that write what they read. They go through an array of any size,
 * so each is compiled once. Blocks hold whole fours, and what lies behind the last number is nobody's.
 */
import { builtins, declare, THREADS, type WgslKernel, type WgslSource } from './shader.ts';

/** Workgroups that go through one array, in turns. */
const WORKGROUPS = 128;

const loop = (array: string, body: string) => `
  @compute @workgroup_size(${THREADS}) fn main(${builtins}) {
    for (var i = group.x * ${THREADS}u + thread; i < arrayLength(&${array}); i += groups.x * ${THREADS}u) {
      ${body}
    }
  }`;

/** target ← target + alpha·x */
export const accumulateInPlace: WgslSource = {
  op: 'accumulate',
  key: 'accumulate in place',
  wgsl: () => {
    const { text, bound } = declare([{ name: 'x', quads: true }], [{ name: 'a', quads: true }], 1);
    const code = `${text} ${loop('a', 'a[i] += numbers[0].x * x[i];')}`;
    return { ...bound, code, workgroups: [WORKGROUPS, 1, 1] };
  },
};

/** target ← x */
export const assignInPlace: WgslSource = {
  op: 'assign',
  key: 'assign in place',
  wgsl: () => {
    const { text, bound } = declare([{ name: 'x', quads: true }], [{ name: 'a', quads: true }]);
    return {
      code: `${text} ${loop('a', 'a[i] = x[i];')}`,
      ...bound,
      workgroups: [WORKGROUPS, 1, 1],
    };
  },
};

/**
 * Adam on `count` tensors in one dispatch. Numbers: (β₁, 1 − β₁, β₂, 1 − β₂), (gradient scale, ε, target
 * scale), then (learning rate/(1 − β₁ᵗ), 1/(1 − β₂ᵗ)) of each tensor. Arrays: the gradients; then target, m and v of each.
 */
export function adamInPlace(count: number): WgslSource {
  const all = Array.from({ length: count }, (_, i) => i);
  const wgsl = (): WgslKernel => {
    const { text, bound } = declare(
      all.map((i) => ({ name: `grad${i}`, quads: true })),
      all.flatMap((i) =>
        ['target', 'm', 'v'].map((name) => ({ name: `${name}${i}`, quads: true })),
      ),
      2 + count,
    );
    // WGSL has no pointers to arrays of a binding that is chosen at run time, so each has its loop.
    const each = all.map(
      (i) => `case ${i}u: {
        for (var i = first; i < arrayLength(&target${i}); i += step) {
          let g = numbers[1].x * grad${i}[i];
          let m = numbers[0].x * m${i}[i] + numbers[0].y * g;
          let v = numbers[0].z * v${i}[i] + numbers[0].w * g * g;
          m${i}[i] = m;
          v${i}[i] = v;
          let moved = numbers[${2 + i}].x * m / (sqrt(v * numbers[${2 + i}].y) + numbers[1].y);
          target${i}[i] = numbers[1].z * target${i}[i] - moved;
        }
      }`,
    );
    const code = `${text}
      @compute @workgroup_size(${THREADS}) fn main(${builtins}) {
        let first = group.x * ${THREADS}u + thread;
        let step = groups.x * ${THREADS}u;
        switch group.y { ${each.join('\n')} default: {} }
      }`;
    return { ...bound, code, workgroups: [WORKGROUPS, count, 1] };
  };
  return { op: 'adam', key: `adam in place:${count}`, wgsl };
}

/** Of each of `batch` samples, as many of the first numbers of target as x has: target ← target + x. */
export function addToFirstSource(batch: number, pitch: number, size: number): WgslSource {
  const wgsl = (): WgslKernel => {
    const { text, bound } = declare([{ name: 'x' }], [{ name: 'a' }]);
    const body = `a[i / ${size}u * ${pitch}u + i % ${size}u] += x[i];`;
    // arrayLength counts whole fours, so the number of numbers stands here.
    const code = `${text} ${loop('x', `if (i < ${batch * size}u) { ${body} }`)}`;
    return { ...bound, code, workgroups: [WORKGROUPS, 1, 1] };
  };
  return { op: 'addToFirst', key: `addToFirst:${batch}:${pitch}:${size}`, wgsl };
}
