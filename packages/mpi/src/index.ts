/** Training by several processes that MPI connects. */
export { MpiCommunicator } from './communicator.ts';
export type { LocalOptions } from './local.ts';
export { requireLocal } from './local.ts';
export type { MpiOptions } from './open.ts';
export { openMpi } from './open.ts';
export type { Run, SlabOptions, Slabs } from './slabs.ts';
export type { Split, SplitOptions } from './split.ts';
export { splitBackend } from './split.ts';
export type { SplitStream } from './split-stream.ts';
