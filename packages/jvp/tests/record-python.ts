/**
 * Records what python/tests/models holds: `node packages/jvp/tests/record-python.ts`, after a change of a table, of
 * the form of files or of the wavelets. All of it is in float64, of the reference backend.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { setBackend } from '@invnet/tensor';
import { waveletFilters } from '../../layers/src/squeezes/wavelet-filters.ts';
import { recordedRows, recordRows } from './python-rows.ts';

const at = (path: string) => fileURLToPath(new URL(`../../../python/${path}`, import.meta.url));

await setBackend('reference', { dtype: 'float64' });
rmSync(at('tests/models'), { recursive: true, force: true });
await recordRows(at('tests/models'), recordedRows);
const lines = Object.entries(waveletFilters).map(([name, h]) => `"${name}":${JSON.stringify(h)}`);
writeFileSync(at('invnet/torch/wavelet-filters.json'), `{\n${lines.join(',\n')}\n}\n`);
