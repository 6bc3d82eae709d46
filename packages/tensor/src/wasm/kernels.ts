/**
 * Loads the compiled kernels: decodes them from this package's own text, picks the build that the
 * engine can run, and instantiates it over a memory of its own. The text is the build with relaxed SIMD;
 * the ones without it and for wide vectors are made from it where they are needed, by a few hundred edits.
 *
 * Left out: anything asynchronous. The modules are small enough (about 50 kB) for a page to compile
 * at once, which keeps backends, and so tensors, free of promises.
 */
import { BackendError } from '../errors.ts';
import { bytesOf } from './byte-text.ts';
import { applyEdits } from './edits.ts';
import { baselineEdits, sharedFlagAt, text, wideEdits } from './kernels.generated.ts';
import { isWide, widen } from './wide.ts';

/** What assembly/index.ts exports. Pointers and sizes are 32-bit integers. */
export interface Kernels {
  heapBase(): number;
  rowsPerTile(): number;
  columnsPerTile(): number;
  vectorBytes(): number;
  useScratchAt(word: number): void;
  blockBytes(columns: number, depth: number): number;
  packAhead(plan: number, first: number, last: number): void;
  product(plan: number, begin: number, end: number): void;
  deepProduct(plan: number, part: number, pitch: number, first: number, last: number): void;
  sumParts(
    from: number,
    pitch: number,
    parts: number,
    width: number,
    c: number,
    cSample: number,
    cRow: number,
    cColumn: number,
    cColumns: number,
    columns: number,
    first: number,
    last: number,
  ): void;
  winogradFilters(plan: number, first: number, last: number): void;
  winograd(plan: number, first: number, last: number): void;
  winogradGrad(
    x: number,
    dy: number,
    plan: number,
    first: number,
    last: number,
    low: number,
    high: number,
  ): void;
  winogradGradBack(x: number, dy: number, plan: number, first: number, last: number): void;
  reflections(v1: number, v2: number, v3: number, w: number, size: number, rows: number): void;
  reflectionsBack(
    v1: number,
    v2: number,
    v3: number,
    g: number,
    d1: number,
    d2: number,
    d3: number,
    size: number,
    rows: number,
    more: number,
  ): void;
  shiftedProduct(
    plan: number,
    shift: number,
    first: number,
    last: number,
    near: number,
    far: number,
  ): void;
  unary(op: number, from: number, to: number, size: number, alpha: number, beta: number): void;
  power(from: number, to: number, size: number, exponent: number): void;
  binary(op: number, a: number, b: number, to: number, how: number, counter: number): void;
  reduce(
    op: number,
    innerReduced: number,
    from: number,
    to: number,
    how: number,
    counter: number,
  ): void;
  sumRows(from: number, sums: number, size: number, first: number, last: number): void;
  addRows(
    sums: number,
    to: number,
    outer: number,
    reduced: number,
    inner: number,
    factor: number,
  ): void;
  permute(from: number, to: number, how: number, counter: number): void;
  copyRuns(
    from: number,
    fromPitch: number,
    to: number,
    toPitch: number,
    bytes: number,
    count: number,
  ): void;
  fill(to: number, size: number, value: number): void;
  accumulate(target: number, x: number, size: number, alpha: number): void;
  accumulateRows(
    target: number,
    pitch: number,
    x: number,
    size: number,
    first: number,
    last: number,
  ): void;
  adam(
    table: number,
    beta1: number,
    beta2: number,
    epsilon: number,
    scale: number,
    left: number,
    first: number,
    last: number,
  ): void;
  couple(
    inverse: number,
    x: number,
    rt: number,
    y: number,
    sums: number,
    kept: number,
    size: number,
    piece: number,
    low: number,
    width: number,
    first: number,
    last: number,
  ): void;
  coupleBack(
    inverse: number,
    y: number,
    dy: number,
    rt: number,
    dlogdet: number,
    x: number,
    dx: number,
    drt: number,
    kept: number,
    size: number,
    piece: number,
    low: number,
    width: number,
    first: number,
    last: number,
  ): void;
  channelAffine(
    inverse: number,
    x: number,
    scale: number,
    shift: number,
    y: number,
    channels: number,
    positions: number,
    first: number,
    last: number,
  ): void;
  channelAffineBack(
    inverse: number,
    y: number,
    dy: number,
    scale: number,
    shift: number,
    x: number,
    dx: number,
    sums: number,
    channels: number,
    positions: number,
    first: number,
    last: number,
  ): void;
  channelGradients(
    sums: number,
    scale: number,
    dlogdet: number,
    dscale: number,
    dshift: number,
    batch: number,
    channels: number,
    factor: number,
  ): void;
  channelLogdet(
    scale: number,
    logdet: number,
    batch: number,
    channels: number,
    factor: number,
  ): void;
  /** In a module of its own (assembly/wave.ts), which `Runtime.extend` brings. */
  leapfrog(
    plan: number,
    first: number,
    last: number,
    begin: number,
    end: number,
    top: number,
    bottom: number,
    line: number,
  ): void;
  /** In a module of their own (assembly/spline.ts), likewise. */
  spline(plan: number, first: number, last: number, scratch: number): void;
  splineBack(plan: number, first: number, last: number, scratch: number): void;
}

/** A module as scripts/compile-wasm.mjs has written it. */
export interface KernelText {
  readonly text: string;
  readonly baselineEdits: string;
  /** Only where there are register tiles. */
  readonly wideEdits?: string;
  readonly sharedFlagAt: number;
}

export interface LoadedKernels {
  readonly kernels: Kernels;
  readonly memory: WebAssembly.Memory;
  readonly module: WebAssembly.Module;
  readonly relaxedSimd: boolean;
  /** Was V8 asked for wide vectors when they were compiled? */
  readonly wide: boolean;
}

let supported: boolean | undefined;

/** Can this engine run the build with relaxed SIMD? */
export function supportsRelaxedSimd(): boolean {
  supported ??= WebAssembly.validate(bytesOf(text));
  return supported;
}

/** In the flags of a memory import: it has a maximum, and it is shared. */
const SHARED = 3;

/** A section of its own, of four bytes of name and no content. */
const WIDE_SECTION = [0, 5, 4, 0x77, 0x69, 0x64, 0x65];

const modules = new Map<string, WebAssembly.Module>();

/**
 * @param relaxedSimd which build; the engine decides where it is left open
 * @param shared makes a memory that workers can be given
 * @param wide asks for vectors of 256 bits where they can be had
 * @throws BackendError if the engine cannot run it, the page does not let it, or there is no memory for it
 */
export function loadKernels(
  relaxedSimd = supportsRelaxedSimd(),
  shared = false,
  wide = false,
): LoadedKernels {
  const isWidened = wide ? widen() : isWide();
  const key = `${relaxedSimd} ${shared} ${isWidened}`;
  let module = modules.get(key);
  if (module === undefined) {
    const bytes = decode(
      { text, baselineEdits, wideEdits, sharedFlagAt },
      relaxedSimd,
      shared,
      isWidened,
    );
    if (!WebAssembly.validate(bytes)) {
      throw new BackendError(
        `wasm: this engine has no ${relaxedSimd ? 'relaxed SIMD' : 'SIMD'} for WebAssembly, which the backend needs.`,
      );
    }
    module = compile(bytes);
    modules.set(key, module);
  }
  const memory = reserve(shared);
  const kernels = instantiate(module, memory);
  return { kernels, memory, module, relaxedSimd, wide: isWidened };
}

/** The bytes of a module: of which build, over which memory, and for which vectors. */
export function decode(
  from: KernelText,
  relaxedSimd: boolean,
  shared: boolean,
  wide: boolean,
): Uint8Array<ArrayBuffer> {
  const relaxed = bytesOf(from.text);
  if (shared) relaxed[from.sharedFlagAt] = SHARED;
  const edits = !relaxedSimd ? from.baselineEdits : wide ? from.wideEdits : undefined;
  const bytes = edits === undefined ? relaxed : applyEdits(relaxed, edits);
  // V8 compiles equal bytes once, so what was compiled before would stay as it is.
  return wide ? Uint8Array.of(...bytes, ...WIDE_SECTION) : bytes;
}

/** @throws BackendError where the page does not let it. */
export function compile(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module {
  try {
    return new WebAssembly.Module(bytes);
  } catch (cause) {
    throw new BackendError(
      "wasm: WebAssembly is not compiled here. Does the page's content security policy allow it? It " +
        "needs script-src 'wasm-unsafe-eval'.",
      { cause },
    );
  }
}

/** A module's kernels over a memory. */
export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): Kernels {
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Kernels;
}

/** A memory that may grow up to 4 GiB. */
function reserve(shared: boolean): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: 16, maximum: 65536, shared });
  } catch (cause) {
    throw new BackendError(
      'wasm: the engine has no memory for another backend, for each of which it sets aside some GiB of addresses. ' +
        'Dispose backends that are not needed, or let the process have more (ulimit -v).',
      { cause },
    );
  }
}
