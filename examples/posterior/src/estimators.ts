/** The estimators that a run learns one after the other, and the files of each. */
import { join } from 'node:path';
import { type EstimatorName, estimatorNames } from '@invnet/inference';
import { FlagError } from 'example-kit';

/** One of a run. */
export interface RunEstimator {
  readonly name: EstimatorName;
  /** Before what is said of it: nothing where it is alone. */
  readonly label: string;
  readonly checkpoint: string;
  readonly posterior: string;
  readonly samples: string;
}

/**
 * Those that `--estimator` names. One alone has files of plain names; of several, each file bears the name of its estimator.
 *
 * @throws FlagError for a name that is none, or comes twice.
 */
export function estimatorsOf(text: string, out: string): RunEstimator[] {
  const given = text.split(',').map((name) => name.trim());
  const names = estimatorNames.filter((name) => given.includes(name));
  if (names.length !== given.length) {
    throw new FlagError(
      `--estimator is '${text}'; expected one or several of ${estimatorNames.map((name) => `'${name}'`).join(', ')}, with ` +
        'commas, each once.',
    );
  }
  names.sort((a, b) => given.indexOf(a) - given.indexOf(b));
  return names.map((name) => {
    const [label, own] = names.length === 1 ? ['', ''] : [name, `-${name}`];
    return {
      name,
      label,
      checkpoint: join(out, `model${own}.safetensors`),
      posterior: join(out, `posterior${own}.safetensors`),
      samples: join(out, `samples${own}.npy`),
    };
  });
}
