/**
 * Run by files.test.ts and checkpoint.test.ts in processes and threads of their own: saves a checkpoint
 * of some channels to a path, so many times, or until it is killed.
 */
import { AffineLayer } from '@invnet/layers';
import { full, setBackend } from '@invnet/tensor';
import { saveCheckpoint } from '../src/index.ts';

const [, , path, channels, saves = 'Infinity'] = process.argv;
await setBackend('reference', { dtype: 'float64' });
const { parameters } = new AffineLayer({ channels: Number(channels) });
for (let step = 0; step < Number(saves); step++) {
  using value = full([Number(channels)], step);
  for (const p of parameters) p.assign(value);
  await saveCheckpoint(path!, { parameters, metadata: { step: String(step) } });
  if (step === 2) console.log('saving');
}
