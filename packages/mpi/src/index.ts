/** Training by several processes that MPI connects. */
export { MpiCommunicator } from './communicator.ts';
export type { MpiOptions } from './open.ts';
export { openMpi } from './open.ts';
