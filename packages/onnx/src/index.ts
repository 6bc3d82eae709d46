/** Networks and flows as ONNX files, for programs and pages that run them without this library. */
export type { Exportable, ExportOptions } from './export.ts';
export { exportOnnx } from './export.ts';
export type { OnnxPart } from './trace.ts';
