/**
 * Run by model-rows.test.ts in a process of its own: loads each model of a folder, without the code that
 * built it, and writes what it computes on the inputs beside it.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { flowCatalogue } from '@invnet/flows';
import { Bijection } from '@invnet/layers';
import { setBackend } from '@invnet/tensor';
import { loadModel, readSafetensors, writeSafetensors } from '@invnet/train';
import { operators } from './operators.ts';
import { computedBy, tensorsOfFile } from './row-results.ts';

await setBackend('wasm');
const folder = process.argv[2]!;
for (const name of readdirSync(folder)) {
  if (!name.endsWith('.model')) continue;
  const path = join(folder, name);
  const f = await loadModel(path, { modules: flowCatalogue, named: operators, as: Bijection });
  const inputs = tensorsOfFile(readSafetensors(readFileSync(path.replace(/model$/, 'inputs'))));
  const tensors = await computedBy(f, inputs);
  writeFileSync(path.replace(/model$/, 'results'), writeSafetensors({ tensors, metadata: {} }));
  f.dispose();
}
