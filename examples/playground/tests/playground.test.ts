/** The built page in a real browser: it trains on every backend, and its files go out and in. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { RandomStream, setBackend } from '@invnet/tensor';
import { checkpointBytes } from '@invnet/train';
import { type Browser, chromium, type Page } from 'playwright-core';
import { build, type PreviewServer, preview } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chromiumFlags, chromiumPath } from '../../../scripts/chromium.mjs';
import { buildFlow } from '../../glow-mnist/src/model.ts';

/**
 * The entropy of the banana is 1 + log(2π·0.5) = 2.14 nats, which no model can go below on average;
 * before training the loss is about 3.
 */
const lossAfter200Steps = 2.3;

const root = resolve(import.meta.dirname, '..');
const pictures = resolve(root, '../../out/playground');
const executablePath = chromiumPath();
let outDir: string;
let server: PreviewServer;
let browser: Browser;
let address: string;

// In CI a missing browser is a failure of vitest.config.ts; elsewhere it is said there.
describe.runIf(executablePath)('the playground', () => {
  beforeAll(async () => {
    outDir = await mkdtemp(join(tmpdir(), 'playground-'));
    await mkdir(pictures, { recursive: true });
    await build({ root, logLevel: 'error', build: { outDir, emptyOutDir: true } });
    server = await preview({ root, logLevel: 'error', build: { outDir }, preview: { port: 0 } });
    address = server.resolvedUrls!.local[0]!;
    browser = await chromium.launch({ executablePath: executablePath!, args: chromiumFlags });
  });

  afterAll(async () => {
    await browser?.close();
    await server?.close();
    await rm(outDir, { recursive: true, force: true });
  });

  it.each(['wasm', 'webgpu', 'webgl2'])(
    'trains banana on %s',
    async (backend) => {
      const { page, problems } = await open(
        `?density=banana&network=realnvp&depth=2&width=32&backend=${backend}&steps=200&autostart`,
      );
      await page.waitForFunction(
        () => Number(document.getElementById('app')!.dataset.step) >= 50,
        null,
        {
          timeout: 200_000,
        },
      );
      const early = await figures(page);
      await paused(page);
      const late = await figures(page);
      expect(late.step).toBe(200);
      expect(late.loss).toBeLessThan(lossAfter200Steps);
      expect(late.liveBytes).toBeGreaterThan(0);
      expect(late.liveBytes).toBe(early.liveBytes);
      expect(await page.textContent('#adapter')).toContain(backend);
      for (const id of ['density', 'samples', 'grid', 'curve', 'memory']) {
        expect(await page.locator(`#${id} svg`).count(), id).toBe(1);
      }
      await page.screenshot({ path: join(pictures, `${backend}.png`), fullPage: true });
      if (backend === 'wasm') {
        await page.emulateMedia({ colorScheme: 'dark' });
        await page.setViewportSize({ width: 390, height: 844 });
        await page.screenshot({ path: join(pictures, 'phone-dark.png'), fullPage: true });
        const overflow = await page.evaluate(
          () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
        );
        expect(overflow).toBe(0);
      }
      expect(problems).toEqual([]);
      await page.close();
      // Software stands in for a GPU here: compiling its kernels alone takes ten seconds.
    },
    300_000,
  );

  it('moves the lattice through the layers, in both directions', async () => {
    const { page } = await open('?depth=2&width=8&steps=20&autostart&network=realnvp');
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

  it('exports a model that can be imported and trained further', async () => {
    const { page, problems } = await open('?density=swirl&depth=2&width=16&steps=60&autostart');
    await paused(page);
    const loading = page.waitForEvent('download');
    await page.click('#export');
    const path = join(outDir, 'flow.safetensors');
    await (await loading).saveAs(path);
    await page.close();

    const again = await open('?depth=5&width=8&steps=61');
    await again.page.setInputFiles('#import', path);
    await again.page.waitForSelector('#app[data-status=imported]');
    expect(await again.page.inputValue('[name=density]')).toBe('swirl');
    expect(await again.page.inputValue('[name=depth]')).toBe('2');
    await again.page.click('#start');
    await paused(again.page);
    expect((await figures(again.page)).step).toBe(61);

    const bad = join(outDir, 'bad.safetensors');
    await writeFile(bad, 'not a model');
    await again.page.setInputFiles('#import', bad);
    await again.page.waitForFunction(() =>
      document.getElementById('message')!.textContent!.includes('not a'),
    );
    expect([...problems, ...again.problems]).toEqual([]);
    await again.page.close();
  });

  it('trains on points that were drawn, and asks for more when they are few', async () => {
    const { page } = await open('?density=drawn&depth=2&width=8&steps=10');
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
    const { page } = await open('?backend=webgpu&depth=1&width=8', () => {
      Object.defineProperty(navigator, 'gpu', { value: undefined });
    });
    expect(await page.textContent('#note')).toContain('no WebGPU');
    expect(await page.inputValue('[name=backend]')).toBe('wasm');
    await page.close();
  });

  it('samples digits from a model file', async () => {
    await setBackend('wasm');
    const config = { hidden: 4, scales: 2, steps: 1, seed: 1 };
    const flow = buildFlow(config as Parameters<typeof buildFlow>[0]);
    using images = new RandomStream(1).uniform([4, 1, 28, 28], 0.1, 0.9);
    flow.logProb(images).dispose();
    const metadata = { 'glow-mnist': JSON.stringify({ config }) };
    const path = join(outDir, 'model.safetensors');
    await writeFile(path, await checkpointBytes({ parameters: flow.parameters, metadata }));
    const { page, problems } = await open('');
    await page.click('#tab-digits');
    await page.setInputFiles('#digit-file', path);
    await page.waitForSelector('#digit-canvas[data-drawn="16"]');
    await page.screenshot({ path: join(pictures, 'digits.png'), fullPage: true });
    expect(problems).toEqual([]);
    await page.close();
    expect(existsSync(join(pictures, 'digits.png'))).toBe(true);
    expect((await readFile(path)).length).toBeGreaterThan(1000);
  });
});

/** The page, ready, with everything that it complains of. */
async function open(
  query: string,
  before?: () => void,
): Promise<{ page: Page; problems: string[] }> {
  const page = await browser.newPage({ viewport: { width: 1180, height: 900 } });
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  if (before) await page.addInitScript(before);
  await page.goto(address + query);
  await page.waitForSelector('#app[data-ready]');
  return { page, problems };
}

async function paused(page: Page): Promise<void> {
  await page.waitForSelector('#app[data-status=paused]', { timeout: 200_000 });
}

function figures(page: Page): Promise<{ step: number; loss: number; liveBytes: number }> {
  return page.evaluate(() => {
    const { step, loss, liveBytes } = document.getElementById('app')!.dataset;
    return { step: Number(step), loss: Number(loss), liveBytes: Number(liveBytes) };
  });
}
