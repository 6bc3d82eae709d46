/** Run by checkpoint.test.ts in a process of its own: saves without end, until it is killed. */
import { Parameter } from '@invnet/layers';
import { full, setBackend } from '@invnet/tensor';
import { saveCheckpoint } from '../src/index.ts';

await setBackend('reference', { dtype: 'float64' });
for (let step = 0; ; step++) {
  const p = new Parameter('p', full([200_000], step));
  await saveCheckpoint(process.argv[2]!, { parameters: [p], metadata: { step: String(step) } });
  p.dispose();
  if (step === 2) console.log('saving');
}
