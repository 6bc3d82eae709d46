/** What all kernels in WGSL have in common: their bindings, and sums over a workgroup. */

/** What a kernel binds, in the order of its bindings: arrays, and a uniform of numbers. */
export type Binding = 'read' | 'write' | 'numbers';

/** A kernel in WGSL: `main` over so many workgroups. */
export interface WgslKernel {
  readonly code: string;
  readonly workgroups: readonly [number, number, number];
  readonly bindings: readonly Binding[];
  /** How many fours of numbers the uniform has. */
  readonly numbers?: number;
}

/** A kernel that has no other form, before it is compiled; `key` is equal for equal kernels. */
export interface WgslSource {
  readonly op: string;
  readonly key: string;
  /** Writes the kernel; asked once, when it is compiled. */
  readonly wgsl: () => WgslKernel;
}

/** A kernel with one result, and the size of that. */
export interface SizedSource extends WgslSource {
  readonly size: number;
}

/** How an array is declared: by numbers, or by four. Blocks of memory hold whole fours. */
export interface ShaderArray {
  readonly name: string;
  readonly quads?: boolean;
}

/** Workgroups along one axis of a dispatch, at most. */
export const MAX_WORKGROUPS = 65_535;

/** Invocations of a workgroup that goes through an array. */
export const THREADS = 256;

/** The text of declarations, and what of a kernel follows from them. */
interface Declared {
  readonly text: string;
  readonly bound: Pick<WgslKernel, 'bindings' | 'numbers'>;
}

/** Declarations of arrays that are read, of those that are written, and of numbers by four. */
export function declare(
  reads: readonly ShaderArray[],
  writes: readonly ShaderArray[],
  numbers = 0,
): Declared {
  const arrays = [...reads, ...writes].map(({ name, quads }, i) => {
    const access = i < reads.length ? 'read' : 'read_write';
    return `@group(0) @binding(${i}) var<storage, ${access}> ${name} : array<${quads ? 'vec4f' : 'f32'}>;`;
  });
  const uniform = `@group(0) @binding(${arrays.length}) var<uniform> numbers : array<vec4f, ${numbers}>;`;
  return {
    text: [...arrays, ...(numbers > 0 ? [uniform] : [])].join('\n'),
    bound: {
      bindings: [
        ...reads.map(() => 'read' as const),
        ...writes.map(() => 'write' as const),
        ...(numbers > 0 ? (['numbers'] as const) : []),
      ],
      numbers,
    },
  };
}

/**
 * `fn overAll(thread, value)`: a workgroup's values as one, their sum if nothing else is said, to every
 * invocation; in an order that depends on nothing else. Of `type`, f32 or a vector.
 */
export function overAll(
  type: 'f32' | 'vec2f' | 'vec4f',
  threads = THREADS,
  combine = (a: string, b: string) => `${a} + ${b}`,
): string {
  return `
    var<workgroup> tree : array<${type}, ${threads}>;
    fn overAll(thread : u32, value : ${type}) -> ${type} {
      workgroupBarrier();
      tree[thread] = value;
      for (var span = ${threads / 2}u; span > 0u; span >>= 1u) {
        workgroupBarrier();
        if (thread < span) { tree[thread] = ${combine('tree[thread]', 'tree[thread + span]')}; }
      }
      workgroupBarrier();
      return tree[0];
    }`;
}

/** The parameters of `main` that kernels go by. */
export const builtins = `@builtin(workgroup_id) group : vec3u,
  @builtin(num_workgroups) groups : vec3u, @builtin(local_invocation_index) thread : u32`;
