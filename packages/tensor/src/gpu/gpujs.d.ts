/**
 * The part of gpu.js that this backend stands on, typed.
 *
 * Kernels are built with gpu.js's kernel classes rather than through its `GPU` front, which would
 * answer a kernel that it cannot compile by running it on the CPU.
 */

/** Options of a gpu.js kernel that are used here. */
export interface GpuJsSettings {
  readonly output: readonly number[];
  readonly argumentTypes: readonly string[];
  readonly functions: readonly GpuJsFunction[];
  readonly pipeline: true;
  readonly precision: 'single';
  /** All of a float's and an integer's bits, also on phones. */
  readonly tactic: 'precision';
  readonly loopMaxIterations?: number;
  readonly canvas?: HTMLCanvasElement | OffscreenCanvas;
  readonly context?: WebGL2RenderingContext;
}

/** A function that a kernel calls. */
export interface GpuJsFunction {
  readonly name: string;
  readonly source: string;
  readonly argumentTypes: readonly string[];
  readonly returnType: string;
}

/** A kernel for WebGPU: `build` translates it at once, and then compiles it by `_buildAsync`. */
export interface WebGpuKernel {
  /** In WGSL: a uniform of parameters, the arrays, the result; workgroups of 64 along one axis. */
  readonly compiledSource: string;
  /**
   * The parameters in bytes: how many invocations, 1, 1, how many side by side, four sizes of each
   * array, which kernels of one axis do not read, and the scalars.
   */
  readonly paramsLayout: {
    readonly byteLength: number;
    readonly scalarArgs: readonly { readonly offset: number }[];
  };
  build(...args: readonly unknown[]): Promise<void>;
  _buildAsync(): Promise<void>;
}

/** A kernel on WebGL2; all of it happens at once. */
export interface WebGl2Kernel {
  /** The texture that the next run writes to. */
  texture: unknown;
  _textureSwitched: boolean;
  build(...args: readonly unknown[]): unknown;
  run(...args: readonly unknown[]): unknown;
}

/** gpu.js's handle on a WebGL texture. */
export interface GpuJsTexture {
  readonly texture: WebGLTexture;
}

/** All of it, as it is loaded. */
export type GpuJs = typeof import('./gpujs.js');

export declare const WebGPUKernel: new (source: string, settings: GpuJsSettings) => WebGpuKernel;

export declare const WebGL2Kernel: (new (
  source: string,
  settings: GpuJsSettings,
) => WebGl2Kernel) & { readonly isSupported: boolean };

export declare const Texture: new (settings: {
  texture: WebGLTexture;
  size: ArrayLike<number>;
  dimensions: readonly number[];
  output: readonly number[];
  context: WebGL2RenderingContext;
  kernel: object;
  type: string;
}) => GpuJsTexture;

export declare const utils: {
  getKernelTextureSize(
    settings: { optimizeFloatMemory: false; precision: 'single' },
    output: readonly number[],
  ): Int32Array;
};
