/** What can be asked of the gpu backend. */
import type { GpuMode } from './device.ts';

/** Choices that are otherwise made from what the machine has. */
export interface GpuOptions {
  /** `webgpu` or `webgl2`. Default: the first of the two that is there. */
  readonly mode?: GpuMode;
  /** Limit on the bytes of all tensors together. */
  readonly maxBytes?: number;
}
