/**
 * Which operations have a kernel written in WGSL beside gpu.js's, and which of the two WebGPU runs.
 * WebGL2 always runs gpu.js's. `pnpm bench gpu` measures both on a machine that has a GPU; an
 * operation whose gpu.js kernel reaches half the speed of the other is set to 'gpujs' here.
 */

/** The two ways to write a kernel for WebGPU. */
export type Written = 'gpujs' | 'wgsl';

/** How WebGPU's kernel of an operation is written. */
export function writtenOnWebGpu(op: string): Written {
  return webGpuKernels[op] ?? 'gpujs';
}

const webGpuKernels: Readonly<Record<string, Written>> = {
  conv: 'wgsl',
  convFilterGrad: 'wgsl',
  convInputGrad: 'wgsl',
  matmul: 'wgsl',
};
