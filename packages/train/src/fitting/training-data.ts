/** The rows to train on and those for validation, as sources. */
import { arrayRows, type RowSource, type Rows, splitRows } from '@invnet/datasets';
import { ValueError } from '@invnet/tensor';
import { type FitData, type FitSettings, type FitWarning, isRows } from './options.ts';
import { requireComplete, withoutMissing } from './survey.ts';

/** Where rows come from. */
export interface TrainingData {
  readonly training: RowSource;
  readonly validation: RowSource | undefined;
  readonly warnings: readonly FitWarning[];
}

/**
 * Takes out what is missing, where that is asked for, and splits rows that are in memory.
 *
 * @throws ValueError for rows that cannot be trained on.
 */
export function trainingData(data: FitData, settings: FitSettings): TrainingData {
  if (!isRows(data)) {
    const { training, validation } = data;
    return { training, validation, warnings: validation ? [] : [noValidation] };
  }
  const { kept, warnings } = complete(data, settings);
  const { validation, seed } = settings;
  const count = kept.x?.shape?.[0];
  if (validation === 0 || count === 1) {
    return {
      training: arrayRows(kept),
      validation: undefined,
      warnings: [...warnings, ...(settings.validation === 0 ? [noValidation] : [])],
    };
  }
  const split = splitRows(kept, { validation, seed });
  return { training: arrayRows(split.training), validation: arrayRows(split.validation), warnings };
}

const noValidation: FitWarning = {
  kind: 'no-validation',
  message:
    'there are no rows for validation: all epochs are trained, and the last weights are kept, however much they overfit.',
};

function complete(rows: Rows, { missing }: FitSettings): { kept: Rows; warnings: FitWarning[] } {
  if (missing === 'refuse') {
    requireComplete(rows);
    return { kept: rows, warnings: [] };
  }
  const { kept, dropped } = withoutMissing(rows);
  if (!kept) {
    throw new ValueError(
      `fit: all ${dropped} rows have numbers that are NaN or infinite; expected rows that are complete.`,
    );
  }
  const message = `${dropped} of ${dropped + kept.x.shape[0]!} rows were left out: they have NaN or infinite numbers.`;
  return { kept, warnings: dropped > 0 ? [{ kind: 'dropped-rows', message }] : [] };
}
