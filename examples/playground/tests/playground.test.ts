/** The built page in a real browser: it trains on every backend. Files are in files.test.ts. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { executablePath, figures, paused, pictures, Site } from './page.ts';

/**
 * The entropy of the banana is 1 + log(2π·0.5) = 2.14 nats, which no model can go below on average;
 * before training the loss is about 3.
 */
const lossAfter200Steps = 2.3;

let site: Site;

describe.runIf(executablePath)('the playground', () => {
  beforeAll(async () => {
    site = await Site.start();
  });

  afterAll(async () => {
    await site?.stop();
  });

  const views = ['density', 'samples', 'grid', 'curve', 'memory'];

  /** Trains for some steps; the page, and its figures half-way and at the end. */
  async function trained(backend: string, steps: number) {
    const { page, problems } = await site.open(
      `?density=banana&network=realnvp&depth=2&width=32&backend=${backend}&steps=${steps}&autostart`,
    );
    await page.waitForFunction(
      (least) => Number(document.getElementById('app')!.dataset.step) >= least,
      steps / 2,
      { timeout: 200_000 },
    );
    const early = await figures(page);
    await paused(page);
    const late = await figures(page);
    expect(late.step).toBe(steps);
    expect(late.liveBytes).toBeGreaterThan(0);
    expect(late.liveBytes).toBe(early.liveBytes);
    expect(await page.textContent('#adapter')).toContain(backend);
    for (const id of views) expect(await page.locator(`#${id} svg`).count(), id).toBe(1);
    await page.screenshot({ path: join(pictures, `${backend}-${steps}.png`), fullPage: true });
    return { page, problems, loss: late.loss };
  }

  it('trains banana', async () => {
    const { page, problems, loss } = await trained('wasm', 200);
    expect(loss).toBeLessThan(lossAfter200Steps);
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.setViewportSize({ width: 390, height: 844 });
    await page.screenshot({ path: join(pictures, 'phone-dark.png'), fullPage: true });
    const overflow = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    expect(overflow).toBe(0);
    expect(problems).toEqual([]);
    await page.close();
  });

  // Software stands in for a GPU here, so few steps, which give the losses that wasm gives.
  it.each(['webgpu', 'webgl2'])(
    'trains on %s as on wasm, where the model goes on',
    async (backend) => {
      const steps = 10;
      const { page: other, loss: expected } = await trained('wasm', steps);
      await other.close();
      const { page, problems, loss } = await trained(backend, steps);
      expect(Math.abs(loss - expected)).toBeLessThan(1e-4);
      // The model moves to another backend as it is, and goes on there.
      await page.selectOption('[name=backend]', 'wasm');
      await page.click('#start');
      await page.waitForFunction(
        (after) => Number(document.getElementById('app')!.dataset.step) === after,
        steps + 1,
      );
      expect(await page.textContent('#adapter')).toContain('wasm');
      expect(await page.locator('#memory rect').count()).toBe(2);
      expect(problems).toEqual([]);
      await page.close();
    },
    300_000,
  );

  it('moves the lattice through the layers, in both directions', async () => {
    const { page } = await site.open('?depth=2&width=8&steps=20&autostart&network=realnvp');
    await paused(page);
    // Plot numbers its clipping paths anew each time, so only the lines are compared.
    const lattice = () =>
      page.$$eval('#grid g[aria-label=line] path', (paths) =>
        paths.map((p) => p.getAttribute('d')),
      );
    const last = await lattice();
    await page.locator('#layer').fill('0');
    expect(await page.textContent('#layerValue')).toBe('0');
    const first = await lattice();
    expect(first).not.toEqual(last);
    await page.selectOption('#direction', 'dataToBase');
    expect(await lattice()).toEqual(first);
    await page.locator('#layer').fill('2');
    expect(await lattice()).not.toEqual(last);
    await page.close();
  });

  it('keeps the model when the data change, and begins anew after a reset', async () => {
    const { page, problems } = await site.open('?density=swirl&depth=2&width=16&autostart');
    await page.waitForFunction(() => Number(document.getElementById('app')!.dataset.step) >= 30);
    await page.selectOption('[name=density]', 'twoMoons');
    // The steps on the old data are told until the new run starts.
    await page.waitForSelector('#app[data-status=running]');
    const { step } = await figures(page);
    await page.waitForFunction(
      (before) => Number(document.getElementById('app')!.dataset.step) > before + 20,
      step,
    );
    expect(await page.getAttribute('#app', 'data-status')).toBe('running');
    expect(await page.textContent('#model-file')).toBe('made here');
    await page.click('#reset');
    await page.waitForSelector('#app[data-status=idle]');
    expect((await figures(page)).step).toBe(0);
    expect(await page.locator('#density svg').count()).toBe(0);
    expect(await page.isVisible('#model')).toBe(false);
    expect(problems).toEqual([]);
    await page.close();
  });

  it('trains on points that were drawn, and asks for more when they are few', async () => {
    const { page } = await site.open('?density=drawn&depth=2&width=8&steps=10');
    await page.click('#start');
    await page.waitForFunction(() =>
      document.getElementById('message')!.textContent!.includes('draw at least 20'),
    );
    const box = (await page.locator('#pad canvas').boundingBox())!;
    await page.mouse.move(box.x + 50, box.y + 50);
    await page.mouse.down();
    await page.mouse.move(box.x + 250, box.y + 200, { steps: 40 });
    await page.mouse.up();
    await page.click('#start');
    await paused(page);
    expect((await figures(page)).step).toBe(10);
    await page.close();
  });

  it('says that WebGPU is missing, and starts on wasm', async () => {
    const { page } = await site.open('?backend=webgpu&depth=1&width=8', () => {
      Object.defineProperty(navigator, 'gpu', { value: undefined });
    });
    expect(await page.textContent('#note')).toContain('no WebGPU');
    expect(await page.inputValue('[name=backend]')).toBe('wasm');
    await page.close();
  });
});
