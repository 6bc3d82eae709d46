/** Reports: one file, whatever is in it, that says what tests have found and holds all numbers. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { predictiveChecks } from '@invnet/metrics';
import { RandomStream } from '@invnet/tensor';
import { describe, expect, it } from 'vitest';
import { calibrate } from '../src/index.ts';
import { type EstimatorReport, makeReport, writeReport } from '../src/report/index.ts';

const random = new RandomStream(3);
/** The truth is standard normal and nothing is seen of it: the posterior is the prior. */
const pairs = {
  theta: { shape: [100, 2], data: random.normalArray(200) },
  x: { shape: [100, 1], data: new Float64Array(100) },
};

async function estimator(name: string, width: number): Promise<EstimatorReport> {
  const calibration = await calibrate(
    {
      sample: async ({ x, count, seed }) => {
        const shape = [x.shape[0]!, count, 2];
        return { shape, data: seed.normalArray(shape[0]! * count * 2, width) };
      },
      logProb: async ({ theta: { data } }) =>
        Float64Array.from(
          { length: data.length / 2 },
          (_, i) => -Math.hypot(data[2 * i]!, data[2 * i + 1]!),
        ),
    },
    pairs,
    { seed: 1, draws: 19, names: ['mass <m>', 'spin'] },
  ).result();
  return {
    name,
    calibration,
    samples: { shape: [500, 2], data: random.normalArray(1000, width) },
    scores: { C2ST: 0.5 + width / 10 },
    history: [1, 2, 3].map((epoch) => ({
      epoch,
      trainingLoss: 1 / epoch,
      validationLoss: 2 / epoch,
    })),
    predictive: predictiveChecks([9], { shape: [999], data: random.normalArray(999) }).map(
      (check) => ({
        ...check,
        name: 'largest & least',
      }),
    ),
    warnings: ['3 simulations failed <script>', { message: 'two equal columns' }],
  };
}

const both = Promise.all([estimator('exact', 1), estimator('"narrow"', 0.4)]);
const size = { height: 8, width: 8 };
const truth = random.uniformArray(64);

describe('makeReport', () => {
  it('compares estimators, and begins with what was found', async () => {
    const { html, json } = makeReport({
      title: 'Two <moons>',
      estimators: await both,
      truth: [0.1, 0.2],
      names: ['mass <m>', 'spin'],
    });
    const found = html.slice(0, html.indexOf('Scores'));
    expect(found).toContain(
      '&quot;narrow&quot;: SBC (spin): samples are too narrow; p &lt; 0.0001.',
    );
    expect(found).toContain("exact: the observation's largest &amp; least is 9, unlike");
    expect(found).not.toContain('exact: SBC');
    expect(found).toContain('exact: two equal columns');
    expect(html).toMatch(/log p of the truths[^−]*−1\.\d\d<\/td><td>−1\.\d\d/);
    for (const part of [
      'Posterior',
      'Calibration',
      'Predictive checks',
      'Training',
      'Lemos et al.',
    ]) {
      expect(html).toContain(part);
    }
    // Of the samples there is what they come to.
    const numbers = JSON.parse(json);
    expect(numbers.estimators[1].samples).toMatchObject({
      count: 500,
      mean: [expect.any(Number), expect.any(Number)],
    });
    expect(numbers.estimators[0].calibration.parameters[1].ranks).toHaveLength(100);
    expect(numbers.findings.length).toBeGreaterThan(4);
    expect(JSON.parse(html.match(/id="numbers">(.*?)<\/script>/s)![1]!)).toEqual(numbers);
  });

  it('is one file of itself, with nothing of the user taken for markup', async () => {
    const { html } = makeReport({
      title: '<script>alert(1)</script>',
      text: '<img src=x>',
      estimators: await both,
    });
    expect(html).not.toMatch(/<script>|<img|<m>/);
    expect(html).not.toMatch(/(?:src|href)="(?!data:|#)/);
    expect(html).not.toMatch(/NaN|undefined|\[object/);
    for (const [tag] of html.matchAll(/<svg [^>]*>/g))
      expect(tag).toMatch(/role="img" aria-label="[^"]{40,}"/);
    expect(html).toContain('prefers-color-scheme: dark');
    // Equal contents, equal pages.
    expect(
      makeReport({
        title: '<script>alert(1)</script>',
        text: '<img src=x>',
        estimators: await both,
      }).html,
    ).toBe(html);
  });

  it('shows maps of images, with their quality', () => {
    const maps = { mean: truth.map((v) => v + 0.1), deviation: truth.map(() => 0.1) };
    const { html } = makeReport({
      title: 'Images',
      image: { ...size, truth },
      estimators: [{ name: 'Glow', maps }],
    });
    expect(html).toMatch(/PSNR 19\.\d\d dB, SSIM 0\.\d+, .* 100 % of pixels within/);
    expect(html).toContain('Nothing was checked');
    const blind = makeReport({
      title: 'Images',
      image: size,
      estimators: [{ name: 'Glow', maps }],
    });
    expect(blind.html).not.toContain('PSNR');
  });

  it('takes losses as fits have them, a validation loss that was infinite among them', () => {
    const losses = [Number.POSITIVE_INFINITY, 3, 2];
    const history = losses.map((validationLoss, i) => ({
      epoch: i + 1,
      trainingLoss: 1,
      validationLoss,
    }));
    const { html, json } = makeReport({ title: 'A', estimators: [{ name: 'fit', history }] });
    expect(html).not.toMatch(/Infinity|NaN/);
    expect(JSON.parse(json).estimators[0].history[1]).toEqual(history[1]);
    const broken = [{ name: 'fit', history: [{ ...history[0]!, validationLoss: Number.NaN }] }];
    expect(() => makeReport({ title: 'A', estimators: broken })).toThrow('validationLoss is NaN');
  });

  it('refuses what does not fit', async () => {
    const [one] = await both;
    const report = (change: object) => () =>
      makeReport({ title: 'x', estimators: [one], ...change });
    expect(report({ estimators: [] })).toThrow(/there are 0 estimators/);
    expect(report({ truth: [1] })).toThrow(/truth has 1 entries; expected 2/);
    expect(report({ estimators: [{ ...one, scores: { C2ST: Number.NaN } }] })).toThrow(
      /C2ST is NaN/,
    );
    expect(report({ estimators: [{ name: 'a', maps: { mean: [1], deviation: [1] } }] })).toThrow(
      /the report's image/,
    );
    expect(report({ colour: 'red' })).toThrow(/no option 'colour'/);
  });

  it('is written as two files', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'report-'));
    try {
      const content = { title: 'Files', estimators: [{ name: 'a', scores: { C2ST: 0.5 } }] };
      await writeReport(join(folder, 'one'), content);
      const { html, json } = makeReport(content);
      expect(await readFile(join(folder, 'one.html'), 'utf8')).toBe(html);
      expect(await readFile(join(folder, 'one.json'), 'utf8')).toBe(json);
    } finally {
      await rm(folder, { recursive: true });
    }
    await expect(writeReport('', { title: 'x', estimators: [{ name: 'a' }] })).rejects.toThrow(
      /the path is ''/,
    );
  });
});
