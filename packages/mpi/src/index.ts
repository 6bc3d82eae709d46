/** Training by several processes that MPI connects. */
export { MpiCommunicator } from './communicator.ts';
export type { LocalOptions } from './local.ts';
export { requireLocal } from './local.ts';
export type { MpiOptions } from './open.ts';
export { openMpi } from './open.ts';
export type { Run, SlabOptions } from './slabs.ts';
export { Slabs } from './slabs.ts';
export type { SplitOptions } from './split.ts';
export { Split, splitBackend } from './split.ts';
export { SplitStream } from './split-stream.ts';
