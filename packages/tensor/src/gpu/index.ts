/**
 * `@invnet/tensor/gpu`: importing it adds the backend `gpu` to `setBackend`. It is a module of its
 * own, so that users of the CPU never download it.
 *
 * @example
 * import '@invnet/tensor/gpu';
 * await setBackend('gpu'); // WebGPU, or WebGL2 where there is none
 * console.log(backendInfo().details); // { mode: 'webgpu', adapter: … }
 */
import { requireOneOf, requireRecord } from '../checks.ts';
import { registerBackend } from '../engine.ts';
import { BackendError } from '../errors.ts';
import { GpuBackend } from './backend.ts';
import type { GpuJs } from './gpujs.js';
import type { GpuOptions } from './options.ts';
import { openWebGl2 } from './webgl2.ts';
import { openWebGpu } from './webgpu.ts';

export { GpuBackend } from './backend.ts';
export type { Block, Cell, Device, GpuMode, Kernel } from './device.ts';
export type { GpuOptions, Written } from './options.ts';
export type { IndexFunction, KernelSource } from './source.ts';

registerBackend('gpu', createGpuBackend);

/**
 * Opens a device: WebGPU, and where it cannot be had WebGL2, with the reason in
 * `info().details.fallbackReason`; or the one that `mode` names. It never computes on the CPU.
 *
 * @throws BackendError that says what is missing.
 */
export async function createGpuBackend(options: GpuOptions = {}): Promise<GpuBackend> {
  requireRecord('gpu', 'options', options);
  const { mode, maxBytes, products } = options;
  if (mode !== undefined) requireOneOf('gpu', 'mode', mode, ['webgpu', 'webgl2']);
  if (products !== undefined) requireOneOf('gpu', 'products', products, ['wgsl', 'gpujs']);
  const gpujs = await loadGpuJs();
  if (mode === 'webgl2') return new GpuBackend(openWebGl2(gpujs), { maxBytes });
  try {
    return new GpuBackend(await openWebGpu(gpujs), { maxBytes, products });
  } catch (error) {
    const browser = typeof WebGL2RenderingContext !== 'undefined';
    if (mode === 'webgpu' || !browser || !(error instanceof BackendError)) throw error;
    return new GpuBackend(openWebGl2(gpujs), { maxBytes, fallbackReason: error.message });
  }
}

/** gpu.js is several times as much as the rest, so it is loaded when a device is opened. */
async function loadGpuJs(): Promise<GpuJs> {
  try {
    return await import('./gpujs.js');
  } catch (cause) {
    throw new BackendError('gpu: the module with gpu.js, a part of this package, did not load.', {
      cause,
    });
  }
}
