/** What can be asked of the gpu backend. */
import type { GpuMode } from './device.ts';
import type { Written } from './kernels/choice.ts';

/** Choices that are otherwise made from what the machine has. */
export interface GpuOptions {
  /** `webgpu` or `webgl2`. Default: the first of the two that is there. */
  readonly mode?: GpuMode;
  /** Limit on the bytes of all tensors together. */
  readonly maxBytes?: number;
  /**
   * How the products and convolutions of WebGPU are written: hand-written `wgsl`, or `gpujs`.
   * Default: what kernels/choice.ts says of each.
   */
  readonly products?: Written;
}
