/** Linear operators of imaging with exact adjoints, and the classical reconstructions. */

export { Blur, type BlurOptions } from './blur.ts';
export {
  type FilteredBackProjectionOptions,
  filteredBackProjection,
} from './filtered-back-projection.ts';
export { Mask, type MaskOptions } from './mask.ts';
export { ImagingOperator, type LinearMap } from './operator.ts';
export {
  type Lines,
  PhaseEncodedFourier,
  type PhaseEncodedFourierOptions,
} from './phase-encoded-fourier.ts';
export { Radon, type RadonOptions } from './radon.ts';
export { type CartesianLinesOptions, cartesianLines } from './sampling.ts';
export { type TotalVariationOptions, totalVariation } from './total-variation.ts';
