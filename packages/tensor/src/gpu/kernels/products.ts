/**
 * Matrix products and convolutions as gpu.js kernels. An invocation makes four results side by
 * side, and where all four lie in one row of the result, they share the factor of that row.
 */
import type { ConvActivation, ConvGeometry, MatmulGeometry, Triple } from '../../backend.ts';
import {
  coordinate,
  eachLane,
  index,
  type KernelSource,
  lanes,
  position,
  strided,
} from '../source.ts';

export function matmulSource(g: MatmulGeometry): KernelSource {
  const { batch, m, k, n } = g;
  const sizes = [batch, m, n];
  const shared = n % 4 === 0;
  const a = (lane: number) => `a[aAt(${position(lane)}, k)]`;
  const factor = (lane: number) => (shared ? 'left' : a(lane));
  return {
    op: 'matmul',
    key: `matmul:${Object.values(g).map(Number)}`,
    arrays: ['a', 'b'],
    scalars: [],
    size: batch * m * n,
    write: () => ({
      functions: [
        index(
          'aAt',
          ['i', 'k'],
          `${strided('i', sizes, [g.batchedA ? m * k : 0, g.transposeA ? 1 : k, 0])} + k * ${g.transposeA ? m : 1}`,
        ),
        index(
          'bAt',
          ['i', 'k'],
          `${strided('i', sizes, [g.batchedB ? k * n : 0, 0, g.transposeB ? k : 1])} + k * ${g.transposeB ? 1 : n}`,
        ),
      ],
      body: `${lanes.map((lane) => `let s${lane} = 0;`).join(' ')}
      for (let k = 0; k < ${k}; k++) {
        ${shared ? `const left = ${a(0)};` : ''}
        ${lanes.map((lane) => `s${lane} += ${factor(lane)} * b[bAt(${position(lane)}, k)];`).join('\n')}
      }
      return [s0, s1, s2, s3];`,
    }),
  };
}

export function convSource(
  withBias: boolean,
  activation: ConvActivation,
  g: ConvGeometry,
): KernelSource {
  const { batch, inputChannels: ci, outputChannels: co, input, output, kernel } = g;
  const sizes = [batch, co, ...output];
  const shared = volume(output) % 4 === 0;
  const weight = (lane: number) => `w[wAt(o${lane}, c, kz, ky, kx)]`;
  return {
    op: 'conv',
    key: `conv:${withBias}:${activation}:${geometryKey(g)}`,
    arrays: withBias ? ['x', 'w', 'bias'] : ['x', 'w'],
    scalars: [],
    size: batch * co * volume(output),
    write: () => ({
      functions: [
        ...coordinates(sizes),
        arrayAt('xAt', [batch, ci, ...input]),
        arrayAt('wAt', [co, ci, ...kernel]),
      ],
      body: eachLane(
        (lane) => (activation === 'relu' ? `Math.max(s${lane}, 0)` : `s${lane}`),
        (lane) =>
          lane > 0
            ? ''
            : `${lanes.map((l) => positionLocals(l, g)).join('\n')}
             ${lanes.map((l) => `let s${l} = ${withBias ? `bias[channelOf(${position(l)})]` : '0'};`).join('\n')}
             for (let c = 0; c < ${ci}; c++) { ${kernelLoops(kernel)}
               ${shared ? `const left = ${weight(0)};` : ''}
               ${lanes
                 .map(
                   (l) =>
                     `if (${inside(`z${l} + kz`, `y${l} + ky`, `x${l} + kx`, input)}) {
                       s${l} += ${shared ? 'left' : weight(l)} * x[xAt(n${l}, c, z${l} + kz, y${l} + ky, x${l} + kx)];
                     }`,
                 )
                 .join('\n')}
             } } } }`,
      ),
    }),
  };
}

/** Zero where `relu`, which is given then, is not positive. */
export function convInputGradSource(g: ConvGeometry, masked: boolean): KernelSource {
  const {
    batch,
    inputChannels: ci,
    outputChannels: co,
    input,
    output,
    kernel,
    stride,
    padding,
  } = g;
  const sizes = [batch, ci, ...input];
  // dx[p] takes dy[q] where stride·q + k − padding = p.
  const source = (axis: 0 | 1 | 2, at: string, k: string) => {
    const shifted = `${at} + ${padding[axis]} - ${k}`;
    return stride[axis] === 1
      ? `const q${axis} = ${shifted};`
      : `const q${axis} = Math.floor((${shifted} + 0.5) / ${stride[axis]});`;
  };
  const matches = (axis: 0 | 1 | 2, at: string, k: string) =>
    stride[axis] === 1 ? '' : ` && q${axis} * ${stride[axis]} == ${at} + ${padding[axis]} - ${k}`;
  const names = ['z', 'y', 'x'] as const;
  return {
    op: 'convInputGrad',
    key: `convInputGrad:${masked}:${geometryKey(g)}`,
    arrays: masked ? ['dy', 'w', 'relu'] : ['dy', 'w'],
    scalars: [],
    size: batch * ci * volume(input),
    write: () => ({
      functions: [
        ...coordinates(sizes),
        arrayAt('dyAt', [batch, co, ...output]),
        arrayAt('wAt', [co, ci, ...kernel]),
      ],
      body: eachLane(
        (lane) => (masked ? `(relu[${position(lane)}] > 0 ? s${lane} : 0)` : `s${lane}`),
        (lane) =>
          `const n${lane} = sampleOf(${position(lane)}); const o${lane} = channelOf(${position(lane)});
         const z${lane} = depthOf(${position(lane)}); const y${lane} = rowOf(${position(lane)});
         const x${lane} = columnOf(${position(lane)}); let s${lane} = 0;
         ${kernelLoops(kernel)}
           ${([0, 1, 2] as const).map((a) => source(a, `${names[a]}${lane}`, `k${names[a]}`)).join(' ')}
           if (${inside('q0', 'q1', 'q2', output)}${([0, 1, 2] as const)
             .map((a) => matches(a, `${names[a]}${lane}`, `k${names[a]}`))
             .join('')}) {
             for (let c = 0; c < ${co}; c++) {
               s${lane} += dy[dyAt(n${lane}, c, q0, q1, q2)] * w[wAt(c, o${lane}, kz, ky, kx)];
             }
           }
         } } }`,
      ),
    }),
  };
}

/** The filter gradient of each sample, [batch, …]; or their sum, where that fills the device. */
export function convFilterGradSource(g: ConvGeometry, perSample: boolean): KernelSource {
  const {
    batch,
    inputChannels: ci,
    outputChannels: co,
    input,
    output,
    kernel,
    stride,
    padding,
  } = g;
  const samples = perSample ? batch : 1;
  const sizes = [samples, co, ci, ...kernel];
  const [sd, sh, sw] = stride;
  const [pd, ph, pw] = padding;
  return {
    op: 'convFilterGrad',
    key: `convFilterGrad:${perSample}:${geometryKey(g)}`,
    arrays: ['x', 'dy'],
    scalars: [],
    size: samples * co * ci * volume(kernel),
    write: () => ({
      functions: [
        ...['sampleOf', 'outOf', 'channelOf', 'depthOf', 'rowOf', 'columnOf'].map((name, axis) =>
          index(name, ['i'], coordinate('i', sizes, axis)),
        ),
        arrayAt('xAt', [batch, ci, ...input]),
        arrayAt('dyAt', [batch, co, ...output]),
      ],
      body: eachLane(
        (lane) => `s${lane}`,
        (lane) =>
          `const n${lane} = sampleOf(${position(lane)}); const o${lane} = outOf(${position(lane)});
         const c${lane} = channelOf(${position(lane)}); const z${lane} = depthOf(${position(lane)}) - ${pd};
         const y${lane} = rowOf(${position(lane)}) - ${ph}; const x${lane} = columnOf(${position(lane)}) - ${pw};
         let s${lane} = 0;
         for (let n = 0; n < ${perSample ? 1 : batch}; n++) {
           for (let qz = 0; qz < ${output[0]}; qz++) { for (let qy = 0; qy < ${output[1]}; qy++) { for (let qx = 0; qx < ${output[2]}; qx++) {
             if (${inside(`z${lane} + qz * ${sd}`, `y${lane} + qy * ${sh}`, `x${lane} + qx * ${sw}`, input)}) {
               s${lane} += dy[dyAt(n${lane} + n, o${lane}, qz, qy, qx)] *
                 x[xAt(n${lane} + n, c${lane}, z${lane} + qz * ${sd}, y${lane} + qy * ${sh}, x${lane} + qx * ${sw})];
             }
           } } }
         }`,
      ),
    }),
  };
}

/** Coordinates of an element of [batch, channels, depth, height, width]. */
function coordinates(sizes: readonly number[]) {
  return ['sampleOf', 'channelOf', 'depthOf', 'rowOf', 'columnOf'].map((name, axis) =>
    index(name, ['i'], coordinate('i', sizes, axis)),
  );
}

/** The function from five coordinates to a flat index. */
function arrayAt(name: string, sizes: readonly number[]) {
  const [, b, c, d, e] = sizes;
  return index(
    name,
    ['n', 'c', 'z', 'y', 'x'],
    `(((n * ${b} + c) * ${c} + z) * ${d} + y) * ${e} + x`,
  );
}

/** Sample, output channel, and the input position that the kernel's first tap meets. */
function positionLocals(lane: number, { stride, padding }: ConvGeometry): string {
  const at = position(lane);
  const first = (name: string, axis: 0 | 1 | 2) =>
    `${name}(${at}) * ${stride[axis]} - ${padding[axis]}`;
  return `const n${lane} = sampleOf(${at}); const o${lane} = channelOf(${at});
    const z${lane} = ${first('depthOf', 0)}; const y${lane} = ${first('rowOf', 1)};
    const x${lane} = ${first('columnOf', 2)};`;
}

function kernelLoops([kd, kh, kw]: Triple): string {
  return (
    `for (let kz = 0; kz < ${kd}; kz++) { for (let ky = 0; ky < ${kh}; ky++) { ` +
    `for (let kx = 0; kx < ${kw}; kx++) {`
  );
}

/** In one comparison: compilers take long over many short circuits side by side. */
function inside(z: string, y: string, x: string, [d, h, w]: Triple): string {
  const room = (at: string, size: number) => `Math.min(${at}, ${size - 1} - (${at}))`;
  return `Math.min(${room(z, d)}, Math.min(${room(y, h)}, ${room(x, w)})) >= 0`;
}

function volume([d, h, w]: Triple): number {
  return d * h * w;
}

function geometryKey(g: ConvGeometry): string {
  return Object.values(g).join(':');
}
