import { expect, test } from 'vitest';
import { buildPage, describeBundle, measureBundle } from '../src/bundle.ts';

test('pages that train, or open a model, load no more than their limits', async () => {
  const { results } = await measureBundle();
  expect(results).toHaveLength(2);
  for (const { limit, gzip } of results) {
    expect(limit).toBe(70_000);
    expect(gzip).toBeLessThanOrEqual(limit);
    // The kernels alone are more: nothing was dropped as unused.
    expect(gzip).toBeGreaterThan(20_000);
  }
});

test('a page that opens the file of one network has no other in it', async () => {
  const code = (await buildPage('load.html'))
    .map((file) => (file.type === 'chunk' ? file.code : ''))
    .join('\n');
  for (const type of ['Glow', 'GlowCoupling', 'ActNorm', 'Flow']) expect(code).toContain(type);
  for (const type of ['HintCoupling', 'UnrolledLoop', 'ResNet', 'WaveletSqueeze', 'Flattened']) {
    expect(code).not.toContain(type);
  }
});

test('the table has one line per page and one per file, and says what is left of its limit', async () => {
  const pages = [{ name: 'heavy', html: 'page.html', limit: 1000 }];
  const report = await measureBundle({ pages });
  const lines = describeBundle(report).split('\n').slice(-2);
  expect(lines[0]).toMatch(/^heavy +\d+\.\d +\d+\.\d +1\.0 +-\d+\.\d$/);
  expect(lines[1]).toMatch(/^ {2}\S+\.js +\d+\.\d +\d+\.\d$/);
  expect(report.figures).toMatchObject([{ name: 'heavy', unit: 'KB' }]);
});
