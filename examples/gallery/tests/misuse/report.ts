/** Right calls of `@invnet/inference/report`. */
import * as report from '@invnet/inference/report';
import { type Calls, call } from './call.ts';

/** Calls of all exports of reports. */
export function reportCalls(): Calls {
  // Texts are numbers nowhere, and files may not be made everywhere.
  const may = { may: ['nan', 'system'] } as const;
  const estimator = {
    name: 'spline',
    samples: { shape: [2, 2], data: Float64Array.of(1, 2, 3, 5) },
    scores: { C2ST: 0.5 },
    history: [{ epoch: 1, trainingLoss: 2, validationLoss: 3 }],
    warnings: ['few simulations'],
  };
  const content = {
    title: 'A report',
    text: 'of little',
    estimators: [estimator],
    names: ['a', 'b'],
    truth: [1, 2],
  };
  return {
    makeReport: [call(report.makeReport, [content], may)],
    writeReport: [call(report.writeReport, ['report', content], may)],
  };
}
