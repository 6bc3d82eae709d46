/**
 * The optimizer's state in a file: entries called `optimizer/`, its name and the name in the state, and
 * metadata that says whose state it is, for that of a fresh optimizer has no entries.
 */
import { CheckpointError } from './array-checks.ts';
import type { OptimizerState } from './optimizer.ts';
import type { HostTensor, Safetensors } from './safetensors.ts';

/** Metadata that says whose state is in the file. */
const optimizerKey = 'invnet.optimizer';

/** The model's arrays with an optimizer's state among them. @throws CheckpointError when two have one name. */
export function withState(
  { tensors, metadata }: Safetensors,
  optimizer: string,
  state: OptimizerState,
): Safetensors {
  const together = new Map(tensors);
  for (const [name, array] of state) {
    const entry = `${prefixOf(optimizer)}${name}`;
    if (together.has(entry)) {
      throw new CheckpointError(
        `checkpointBytes: a parameter is called '${entry}', as is a part of the optimizer's state; ` +
          'expected another name.',
      );
    }
    together.set(entry, array);
  }
  return { tensors: together, metadata: { ...metadata, [optimizerKey]: optimizer } };
}

/** The name of the optimizer whose state a file has. */
export function optimizerOf({ metadata }: Safetensors): string | undefined {
  return metadata[optimizerKey];
}

/** A file's arrays of the model, which has these names, and those of the optimizer. */
export function splitState(
  file: Safetensors,
  names: Iterable<string>,
): { readonly arrays: ReadonlyMap<string, HostTensor>; readonly state: OptimizerState } {
  const optimizer = optimizerOf(file);
  const [own, arrays, state] = [
    new Set(names),
    new Map<string, HostTensor>(),
    new Map<string, HostTensor>(),
  ];
  for (const [entry, array] of file.tensors) {
    // A parameter may be called as if it were the optimizer's.
    if (optimizer !== undefined && entry.startsWith(prefixOf(optimizer)) && !own.has(entry)) {
      state.set(entry.slice(prefixOf(optimizer).length), array);
    } else arrays.set(entry, array);
  }
  return { arrays, state };
}

function prefixOf(optimizer: string): string {
  return `optimizer/${optimizer}/`;
}
