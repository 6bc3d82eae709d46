/**
 * The modules of gpu.js that this backend uses. Its own entry brings more: a WebGL and an older Dawn for
 * Node.js, of 220 MB. These become part of this package's build, so that it does not depend on gpu.js.
 */
export { WebGL2Kernel } from 'gpu.js/src/backend/web-gl2/kernel.js';
export { WebGPUKernel } from 'gpu.js/src/backend/web-gpu/kernel.js';
export { Texture } from 'gpu.js/src/texture.js';
export { utils } from 'gpu.js/src/utils.js';
