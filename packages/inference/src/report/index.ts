/** Reports of posteriors, as pages and as JSON. */
export type { EstimatorReport, ReportContent, TrainingEpoch } from './content.ts';
export type { Report } from './report.ts';
export { makeReport, writeReport } from './report.ts';
