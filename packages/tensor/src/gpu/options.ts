/** What can be asked of the gpu backend. */
import type { GpuMode } from './device.ts';

/** The two ways to write a kernel for WebGPU. */
export type Written = 'gpujs' | 'wgsl';

/** Choices that are otherwise made from what the machine has. */
export interface GpuOptions {
  /** `webgpu` or `webgl2`. Default: the first of the two that is there. */
  readonly mode?: GpuMode;
  /** Limit on the bytes of all tensors together. */
  readonly maxBytes?: number;
  /**
   * How products, sums, updates and passes over invertible layers are written on WebGPU: by hand in
   * `wgsl`, or in `gpujs` as on WebGL2, several times as slow. Default: `wgsl`.
   */
  readonly products?: Written;
}
