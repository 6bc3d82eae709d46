/** Run by checkpoint.test.ts in a process of its own: saves without end, until it is killed. */
import { AffineLayer } from '@invnet/layers';
import { full, setBackend } from '@invnet/tensor';
import { saveCheckpoint } from '../src/index.ts';

await setBackend('reference', { dtype: 'float64' });
const { parameters } = new AffineLayer({ channels: 100_000 });
for (let step = 0; ; step++) {
  using value = full([100_000], step);
  for (const p of parameters) p.assign(value);
  await saveCheckpoint(process.argv[2]!, { parameters, metadata: { step: String(step) } });
  if (step === 2) console.log('saving');
}
