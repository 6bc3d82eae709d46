/** Figures as in a paper: images under one scale, gathers, class maps, curves, calibration, tables of numbers. */
export { type BarsOptions, type BarValue, bars } from './bars.ts';
export type { Palette, Scale } from './color-scale.ts';
export { type ConfusionOptions, confusion } from './confusion.ts';
export { type CornerOptions, corner, type SampleSet } from './corner.ts';
export { type CurvesOptions, curves, type Reference, type Series } from './curves.ts';
export { type EcdfOptions, ecdf } from './ecdf.ts';
export { Figure, type FigureContent, type GridOptions, grid } from './figure.ts';
export type { Axis, FrameOptions } from './frame.ts';
export { type HistogramOptions, histogram } from './histogram.ts';
export type { LabelClass } from './labels.ts';
export type { Panel } from './panel.ts';
export { type PanelAxis, type PanelsOptions, panels } from './panels.ts';
export { colors } from './theme.ts';
