/** Scans of a brain in the built page: samples of the shipped model, for lines that the visitor chooses. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { executablePath, pictures, Site } from './page.ts';

const mostBytes = 2e6;

let site: Site;

/** Waits for so many samples of the scan that is under way. */
async function sampled(page: Page, least: number): Promise<void> {
  await page.waitForFunction(
    (count) => {
      const { dataset } = document.getElementById('brain')!;
      return dataset.status !== 'scanning' && Number(dataset.count) >= count;
    },
    least,
    { timeout: 100_000 },
  );
}

const text = async (page: Page, id: string) => (await page.textContent(`#brain-${id}`))!;
const number = async (page: Page, id: string) => Number.parseFloat(await text(page, id));

describe.runIf(executablePath)('scans of a brain in the playground', () => {
  beforeAll(async () => {
    site = await Site.start();
  });

  afterAll(async () => {
    await site?.stop();
  });

  it('draws samples whose mean is nearer to the truth than the zero-filled image', async () => {
    const model = new URL('../src/brain/model.safetensors', import.meta.url);
    expect((await stat(model)).size).toBeLessThanOrEqual(mostBytes);

    const { page, problems } = await site.open('?tab=brain');
    await page.waitForSelector('#brain[data-status=done]', { timeout: 100_000 });
    await page.screenshot({ path: join(pictures, 'brain.png'), fullPage: true });
    expect(await page.isVisible('#app')).toBe(false);
    expect(await text(page, 'count')).toBe('16 of 64');
    expect(await text(page, 'samples')).toBe('64');
    expect(await page.locator('#brain-figure svg image').count()).toBe(6 + 2);
    expect(await page.isVisible('#brain-extrapolates')).toBe(false);
    const zeroFilled = await number(page, 'zero-filled');
    expect(await number(page, 'mean-psnr')).toBeGreaterThan(zeroFilled + 2);
    // A sample errs as much again as the mean does, if all is well: 2.94 dB for 64 of them.
    expect(await text(page, 'exact-gap')).toBe('2.94 dB');
    expect(Math.abs((await number(page, 'gap')) - 2.94)).toBeLessThan(0.5);

    await page.emulateMedia({ colorScheme: 'dark' });
    await page.setViewportSize({ width: 390, height: 844 });
    await page.screenshot({ path: join(pictures, 'brain-phone-dark.png'), fullPage: true });
    const overflow = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    expect(overflow).toBe(0);

    await page.click('#tab-train');
    expect(await page.isVisible('#app')).toBe(true);
    expect(await page.isVisible('#brain')).toBe(false);
    expect(problems).toEqual([]);
    await page.close();
  });

  it('scans with lines that were drawn, and says that the model has not seen such', async () => {
    const { page, problems } = await site.open('?tab=brain');
    await sampled(page, 4);
    const before = await number(page, 'zero-filled');
    const box = (await page.locator('#brain-pad').boundingBox())!;
    // All lines of the upper half, from one that is not taken.
    await page.mouse.move(box.x + 40, box.y + 2);
    await page.mouse.down();
    await page.mouse.move(box.x + 40, box.y + box.height / 2 - 2, { steps: 3 });
    await page.mouse.up();
    await page.waitForFunction(
      () => !document.getElementById('brain-count')!.textContent!.startsWith('16 '),
    );
    await sampled(page, 4);
    expect(await page.inputValue('#brain-lines')).toBe('drawn');
    expect(await page.isVisible('#brain-extrapolates')).toBe(true);
    expect(await number(page, 'zero-filled')).not.toBe(before);

    // The same lines of another slice.
    const lines = await text(page, 'count');
    await page.locator('#brain-slice').fill('3');
    await sampled(page, 4);
    expect(await text(page, 'count')).toBe(lines);
    expect(problems).toEqual([]);
    await page.close();
  });

  it('pauses, and goes on', async () => {
    const { page, problems } = await site.open('?tab=brain');
    // Within the page: all samples may be there before a click from outside comes.
    await page.waitForFunction(
      () => {
        const { status, count } = document.getElementById('brain')!.dataset;
        if (status !== 'sampling' || Number(count) < 4) return false;
        document.getElementById('brain-pause')!.click();
        return true;
      },
      undefined,
      { timeout: 100_000 },
    );
    await page.waitForSelector('#brain[data-status=paused]');
    const count = await text(page, 'samples');
    await page.waitForTimeout(300);
    expect(await text(page, 'samples')).toBe(count);
    await page.click('#brain-pause');
    await page.waitForSelector('#brain[data-status=done]', { timeout: 100_000 });
    expect(problems).toEqual([]);
    await page.close();
  });
});
