/** The memory of jax-js's device `wasm`, which it does not show: import this before jax-js. */
const made: WebAssembly.Memory[] = [];

class Watched extends WebAssembly.Memory {
  constructor(descriptor: WebAssembly.MemoryDescriptor) {
    super(descriptor);
    made.push(this);
  }
}

const { Memory } = WebAssembly;
WebAssembly.Memory = Watched;
await import('@jax-js/jax');
WebAssembly.Memory = Memory;

/** Its size in bytes. It grows where arrays are left behind, and never shrinks. */
export function hostBytes(): number {
  return made.reduce((sum, memory) => sum + memory.buffer.byteLength, 0);
}
