import { expect, test } from 'vitest';
import { describeBundle, measureBundle } from '../src/bundle.ts';

test('the smallest page that trains loads no more than its limit', async () => {
  const { results } = await measureBundle();
  const [page] = results;
  expect(page!.limit).toBe(82_000);
  expect(page!.gzip).toBeLessThanOrEqual(page!.limit);
  // The kernels alone are more: nothing was dropped as unused.
  expect(page!.gzip).toBeGreaterThan(30_000);
});

test('the table has one line per page and one per file, and says what is left of its limit', async () => {
  const pages = [{ name: 'heavy', html: 'page.html', limit: 1000 }];
  const report = await measureBundle({ pages });
  const lines = describeBundle(report).split('\n').slice(-2);
  expect(lines[0]).toMatch(/^heavy +\d+\.\d +\d+\.\d +1\.0 +-\d+\.\d$/);
  expect(lines[1]).toMatch(/^ {2}\S+\.js +\d+\.\d +\d+\.\d$/);
  expect(report.figures).toMatchObject([{ name: 'heavy', unit: 'KB' }]);
});
