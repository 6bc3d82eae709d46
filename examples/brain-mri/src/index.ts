/** Brain images to reconstruct: slices of one head to train on, of another one to test, and simulated scans of them. */
export { type AcquireOptions, acquire, withPhase } from './acquisition.ts';
export { fourierCrop } from './fourier-crop.ts';
export { type Head, loadHead } from './head.ts';
export { slicesOf, testSlices } from './test-slices.ts';
export { drawSlices, type SliceOptions } from './training-slices.ts';
