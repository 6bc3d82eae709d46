import { Writable } from 'node:stream';
import { setBackend } from '@invnet/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { fit } from '../../src/index.ts';
import { ProgressDisplay, type ProgressOutput, showProgress } from '../../src/progress.ts';
import { correlatedRows, smallFlow } from './problems.ts';

beforeAll(() => setBackend('wasm'));

/** A stream that keeps what is written. */
function recording(isTTY: boolean): { output: ProgressOutput; text: () => string } {
  let text = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  return { output: Object.assign(stream, { isTTY, columns: 120 }), text: () => text };
}

const options = { epochs: 2, batchSize: 16, seed: 1, report: 1 };

describe('showProgress', () => {
  it('writes lines where there is no terminal, and gives the result', async () => {
    const { output, text } = recording(false);
    const result = await showProgress(fit(smallFlow(), correlatedRows(40), options), { output });
    expect(result.history).toHaveLength(2);
    const lines = text().split('\n');
    expect(lines[0]).toMatch(/^ 16% \| epoch 0, step 1 \| loss -?[\d.]+ \| rate 0\.0010$/);
    expect(lines.at(-2)).toMatch(
      /^100% \| epoch 2, step 6 \| .* \| validation .* \| best .* in epoch \d/,
    );
    expect(lines.length).toBeLessThan(6);
  });

  it('draws a bar on a terminal', async () => {
    const { output, text } = recording(true);
    await showProgress(fit(smallFlow(), correlatedRows(40), options), { output });
    expect(text()).toMatch(/█{20} 100% \| epoch 2, step 6/);
  });

  it('ends the display of a fit that fails, and refuses what is no fraction', async () => {
    const { output, text } = recording(false);
    const loss = () => {
      throw new Error('mine');
    };
    const fitting = fit(smallFlow(), correlatedRows(40), { ...options, loss });
    await expect(showProgress(fitting, { output })).rejects.toThrow('mine');
    expect(text()).toBe('');
    const display = new ProgressDisplay(output);
    for (const fraction of [Number.NaN, -0.5, 2]) {
      expect(() => display.update(fraction, '')).toThrow(/ProgressDisplay.update: fraction is/);
    }
  });
});
