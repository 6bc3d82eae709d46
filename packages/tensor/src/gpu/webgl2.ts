/**
 * gpu.js in its WebGL2 mode, for browsers without WebGPU. Numbers lie in textures of four floats a
 * texel, which kernels return as Array(4) and read one by one. All calls run at once, in order; a
 * read copies to a buffer, waits for the device without blocking, and takes the numbers from there.
 */
import { BackendError, DeviceLostError, OutOfMemoryError } from '../errors.ts';
import { gpuJsKernel } from './compile.ts';
import type { Block, Cell, Device, Kernel } from './device.ts';
import type { GpuJs, GpuJsTexture, WebGl2Kernel } from './gpujs.js';
import { BlockPool } from './pool.ts';
import type { KernelSource } from './source.ts';

interface TextureBlock extends Block {
  readonly texture: GpuJsTexture;
  readonly width: number;
  readonly height: number;
}

interface CompiledKernel extends Kernel {
  readonly kernel: WebGl2Kernel;
  built: boolean;
}

/** A type of gpu.js's for arrays that lie four numbers a texel. */
const ARRAY_TYPE = 'MemoryOptimizedNumberTexture';

/** @throws BackendError where there is no WebGL2 with textures of floats. */
export function openWebGl2(gpujs: GpuJs): WebGl2Device {
  const canvas = makeCanvas();
  const context = canvas?.getContext('webgl2', { alpha: false, depth: false, antialias: false });
  if (!canvas || !context || !gpujs.WebGL2Kernel.isSupported) {
    throw new BackendError(
      "gpu: there is no WebGL2 here; expected a browser that has it. Use setBackend('wasm').",
    );
  }
  const gl = context as WebGL2RenderingContext;
  if (!gl.getExtension('EXT_color_buffer_float')) {
    throw new BackendError(
      "gpu: this WebGL2 cannot write floats (EXT_color_buffer_float). Use setBackend('wasm').",
    );
  }
  return new WebGl2Device(gpujs, canvas, gl);
}

function makeCanvas(): HTMLCanvasElement | OffscreenCanvas | undefined {
  if (typeof document !== 'undefined') return document.createElement('canvas');
  return typeof OffscreenCanvas === 'undefined' ? undefined : new OffscreenCanvas(1, 1);
}

export class WebGl2Device implements Device {
  readonly mode = 'webgl2';
  readonly maxArrays = 0;
  readonly description: string;
  readonly maxBlockBytes: number;
  readonly #gpujs: GpuJs;
  readonly #canvas: HTMLCanvasElement | OffscreenCanvas;
  readonly #gl: WebGL2RenderingContext;
  readonly #pool: BlockPool<TextureBlock>;
  readonly #framebuffer: WebGLFramebuffer;
  readonly #Handle: new (
    block: TextureSettings,
  ) => GpuJsTexture;
  #failure: Error | undefined;
  #runs = 0;
  #reads = 0;

  constructor(
    gpujs: GpuJs,
    canvas: HTMLCanvasElement | OffscreenCanvas,
    gl: WebGL2RenderingContext,
  ) {
    this.#gpujs = gpujs;
    this.#canvas = canvas;
    this.#gl = gl;
    const unmasked = gl.getExtension('WEBGL_debug_renderer_info');
    this.description = String(
      gl.getParameter(unmasked ? unmasked.UNMASKED_RENDERER_WEBGL : gl.RENDERER),
    );
    const side: number = gl.getParameter(gl.MAX_TEXTURE_SIZE);
    this.maxBlockBytes = 16 * side * side;
    this.#framebuffer = gl.createFramebuffer();
    this.#Handle = textureHandle(gpujs);
    this.#pool = new BlockPool<TextureBlock>(
      (quads, id) => this.#createBlock(quads, id),
      ({ texture }) => gl.deleteTexture(texture.texture),
    );
    canvas.addEventListener('webglcontextlost', () => {
      this.#failure ??= new DeviceLostError(
        "gpu: the WebGL context was lost. Its tensors are gone; call setBackend('gpu') again and " +
          'restore the last checkpoint.',
      );
    });
  }

  get counts() {
    return { runs: this.#runs, reads: this.#reads, pooledBytes: this.#pool.freeBytes };
  }

  allocate(quads: number): Block {
    return this.#pool.take(quads);
  }

  release(block: Block): void {
    this.#pool.give(block as TextureBlock);
  }

  write(block: Block, data: Float32Array): void {
    const { texture, width, height } = block as TextureBlock;
    const gl = this.#gl;
    const texels = 4 * width * height;
    let numbers = data;
    if (data.length < texels) {
      numbers = new Float32Array(texels);
      numbers.set(data);
    }
    selectTexture(gl, texture.texture);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, height, gl.RGBA, gl.FLOAT, numbers);
  }

  async read(x: Cell): Promise<Float32Array> {
    this.#reads += 1;
    const error = this.#failure ?? x.error;
    if (error) throw error;
    const { texture, width, height } = x.block as TextureBlock;
    const gl = this.#gl;
    const numbers = new Float32Array(4 * width * height);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.#framebuffer);
    gl.framebufferTexture2D(
      gl.FRAMEBUFFER,
      gl.COLOR_ATTACHMENT0,
      gl.TEXTURE_2D,
      texture.texture,
      0,
    );
    const buffer = gl.createBuffer();
    gl.bindBuffer(gl.PIXEL_PACK_BUFFER, buffer);
    gl.bufferData(gl.PIXEL_PACK_BUFFER, numbers.byteLength, gl.STREAM_READ);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.FLOAT, 0);
    gl.bindBuffer(gl.PIXEL_PACK_BUFFER, null);
    await this.#finished();
    gl.bindBuffer(gl.PIXEL_PACK_BUFFER, buffer);
    gl.getBufferSubData(gl.PIXEL_PACK_BUFFER, 0, numbers);
    gl.bindBuffer(gl.PIXEL_PACK_BUFFER, null);
    gl.deleteBuffer(buffer);
    if (gl.isContextLost() || this.#failure) throw this.#lost();
    return numbers.slice(0, x.size);
  }

  compile(source: KernelSource): Kernel {
    const { WebGL2Kernel } = this.#gpujs;
    const { text, settings } = gpuJsKernel(source, ARRAY_TYPE);
    const kernel = new WebGL2Kernel(text, {
      ...settings,
      canvas: this.#canvas,
      context: this.#gl,
    });
    const compiled: CompiledKernel = { op: source.op, kernel, built: false };
    return compiled;
  }

  run(
    kernel: Kernel,
    inputs: readonly Cell[],
    scalars: readonly number[],
    outputs: readonly Cell[],
  ): void {
    const [output] = outputs as [Cell];
    this.#runs += 1;
    output.error = this.#failure ?? inputs.find((x) => x.error)?.error;
    if (output.error) return;
    const compiled = kernel as CompiledKernel;
    const values = [...inputs.map((x) => (x.block as TextureBlock).texture), ...scalars];
    try {
      compiled.kernel.texture = (output.block as TextureBlock).texture;
      // WebGL2 compiles when the kernel is built, with the sizes of its first arguments.
      if (!compiled.built) compiled.kernel.build(...values);
      compiled.built = true;
      compiled.kernel._textureSwitched = true;
      compiled.kernel.run(...values);
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      output.error = new BackendError(`${kernel.op}: failed on the gpu: ${message}`, { cause });
    }
  }

  close(reason: Error): void {
    this.#failure = reason;
    this.#pool.destroy();
    this.#gl.getExtension('WEBGL_lose_context')?.loseContext();
  }

  #lost(): Error {
    return this.#failure ?? new DeviceLostError('gpu: the WebGL context was lost.');
  }

  async #finished(): Promise<void> {
    const gl = this.#gl;
    const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    if (!fence) throw this.#lost();
    gl.flush();
    for (;;) {
      if (gl.isContextLost()) throw this.#lost();
      const status = gl.clientWaitSync(fence, 0, 0);
      if (status === gl.ALREADY_SIGNALED || status === gl.CONDITION_SATISFIED) break;
      await nextTask();
    }
    gl.deleteSync(fence);
  }

  #createBlock(quads: number, id: number): TextureBlock {
    const gl = this.#gl;
    const [width, height] = this.#gpujs.utils.getKernelTextureSize(
      { optimizeFloatMemory: false, precision: 'single' },
      [quads],
    ) as unknown as [number, number];
    const texture = gl.createTexture();
    selectTexture(gl, texture);
    for (const [name, value] of [
      [gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE],
      [gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE],
      [gl.TEXTURE_MIN_FILTER, gl.NEAREST],
      [gl.TEXTURE_MAG_FILTER, gl.NEAREST],
    ] as const) {
      gl.texParameteri(gl.TEXTURE_2D, name, value);
    }
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RGBA32F, width, height);
    if (gl.getError() === gl.OUT_OF_MEMORY) {
      throw new OutOfMemoryError(
        `gpu: the device had no room for a texture of ${16 * quads} bytes.`,
      );
    }
    const handle = new this.#Handle({ texture, width, height, quads, gl });
    return { quads, id, texture: handle, width, height };
  }
}

interface TextureSettings {
  readonly texture: WebGLTexture;
  readonly width: number;
  readonly height: number;
  readonly quads: number;
  readonly gl: WebGL2RenderingContext;
}

/** gpu.js's texture handle, without the reference counts that a pool replaces. */
function textureHandle({ Texture }: GpuJs): new (settings: TextureSettings) => GpuJsTexture {
  return class extends Texture {
    constructor({ texture, width, height, quads, gl }: TextureSettings) {
      super({
        texture,
        size: [width, height],
        dimensions: [4 * quads, 1, 1],
        output: [4 * quads],
        context: gl,
        kernel: {},
        type: ARRAY_TYPE,
      });
    }

    beforeMutate(): boolean {
      return false;
    }
  };
}

/** Binds to the last unit, which no kernel of few arguments uses. */
function selectTexture(gl: WebGL2RenderingContext, texture: WebGLTexture): void {
  gl.activeTexture(gl.TEXTURE15);
  gl.bindTexture(gl.TEXTURE_2D, texture);
}

/** Without the four milliseconds that nested timers wait. */
function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });
}
