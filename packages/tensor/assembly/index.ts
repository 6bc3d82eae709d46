/**
 * The entry of the WebAssembly kernels: what src/wasm/kernels.ts may call. Memory is imported and
 * managed from outside (src/wasm/allocator.ts); nothing here allocates.
 */
export { binary } from './binary';
export { channelAffine, channelAffineBack, channelGradients, channelLogdet } from './channels';
export { couple, coupleBack } from './coupling';
export { winogradGrad, winogradGradBack } from './gradients';
export { copyRuns, fill, permute } from './layout';
export { power } from './power';
export {
  blockBytes,
  columnsPerTile,
  deepProduct,
  packAhead,
  product,
  rowsPerTile,
  sumParts,
  vectorBytes,
} from './product';
export { addRows, reduce, sumRows } from './reduce';
export { reflections, reflectionsBack } from './reflections';
export { useScratchAt } from './scratch';
export { shiftedProduct } from './shift';
export { unary } from './unary';
export { accumulate, accumulateRows, adam } from './update';
export { winograd, winogradFilters } from './winograd';

/** First byte that belongs to the allocator; constants lie below. */
export function heapBase(): usize {
  return __heap_base;
}
