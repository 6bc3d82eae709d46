/** Linear operators of imaging with exact adjoints, and the classical reconstructions. */

export { AcousticWave, type AcousticWaveOptions, type SurveyOptions } from './acoustic-wave.ts';
export { Blur, type BlurOptions } from './blur.ts';
export { BornOperator } from './born-operator.ts';
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
export { Photoacoustic, type PhotoacousticOptions } from './photoacoustic.ts';
export { Radon, type RadonOptions } from './radon.ts';
export { type RickerOptions, ricker } from './ricker.ts';
export { type CartesianLinesOptions, cartesianLines } from './sampling.ts';
export { type TotalVariationOptions, totalVariation } from './total-variation.ts';
export type { Medium, WaveEngine, WavePropagation, WaveSetup } from './wave-engine.ts';
export type { Position, WaveGrid, WaveGridOptions } from './wave-grid.ts';
