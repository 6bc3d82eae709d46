/** Which backends this browser has. */
import type { BackendName } from './protocol.ts';

/** For each backend that is missing here, why. */
export async function missingBackends(): Promise<Partial<Record<BackendName, string>>> {
  const missing: Partial<Record<BackendName, string>> = {};
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  if (!adapter) missing.webgpu = 'This browser has no WebGPU, so training starts on the CPU.';
  const gl = new OffscreenCanvas(1, 1).getContext('webgl2');
  if (!gl?.getExtension('EXT_color_buffer_float')) {
    missing.webgl2 = 'WebGL2 is missing as well.';
  }
  gl?.getExtension('WEBGL_lose_context')?.loseContext();
  return missing;
}
