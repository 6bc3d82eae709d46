/** Linear operators of imaging with exact adjoints, and the classical reconstructions. */
export { ImagingOperator, type LinearMap } from './operator.ts';
export {
  type Lines,
  PhaseEncodedFourier,
  type PhaseEncodedFourierOptions,
} from './phase-encoded-fourier.ts';
export { type CartesianLinesOptions, cartesianLines } from './sampling.ts';
export { type TotalVariationOptions, totalVariation } from './total-variation.ts';
