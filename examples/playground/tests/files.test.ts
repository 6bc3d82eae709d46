/** Model files in the built page: any opens, what is none is told, and what is saved opens again. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Flow, flowCatalogue } from '@invnet/flows';
import { Logit, type Module, ResNet, Sequential } from '@invnet/layers';
import { ConditionalGlow, Glow, HyperbolicNetwork } from '@invnet/networks';
import { RandomStream, setBackend } from '@invnet/tensor';
import { checkpointBytes, loadModel, readModelInfo, saveModel } from '@invnet/train';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildFlow } from '../../glow-mnist/src/model.ts';
import {
  canvas,
  dots,
  drop,
  executablePath,
  figures,
  open,
  paused,
  pictures,
  Site,
  said,
  save,
} from './page.ts';

const random = new RandomStream(5);
const conditional = () =>
  new ConditionalGlow({ channels: 2, contextChannels: 3, ndims: 0, scales: 1, steps: 2, random });
const pairs = () => new HyperbolicNetwork({ channels: 4, architecture: [{ hidden: 8 }], random });
const points = () => new Glow({ channels: 2, ndims: 0, hidden: 16, scales: 1, steps: 3, random });

let site: Site;

/** A busy machine takes its time. */
const waiting = { timeout: 60_000 };

describe.runIf(executablePath)('files in the playground', () => {
  beforeAll(async () => {
    await setBackend('wasm');
    site = await Site.start();
  });

  afterAll(async () => {
    await site?.stop();
  });

  it('saves a model that the page and a program open again, and trains it further', async () => {
    const first = await site.open('?density=swirl&depth=2&width=16&steps=60&autostart');
    await paused(first.page);
    const samples = await dots(first.page);
    const path = await save(first.page, join(site.folder, 'swirl.safetensors'));
    await first.page.close();

    const again = await site.open('?depth=5&width=8&steps=61');
    await open(again.page, path);
    expect(await again.page.inputValue('[name=density]')).toBe('swirl');
    expect((await figures(again.page)).step).toBe(60);
    await again.page.waitForSelector('#grid svg');
    expect(await again.page.getAttribute('#layer', 'max')).toBe('2');
    expect(await dots(again.page)).toEqual(samples);
    const saved = await save(again.page, join(site.folder, 'again.safetensors'));
    expect(await readFile(saved)).toEqual(await readFile(path));

    const { metadata } = await readModelInfo(path);
    expect(metadata).toEqual({ input: '[2,1]', data: 'swirl', step: '60' });
    const flow = await loadModel(path, { modules: flowCatalogue, as: Flow });
    using x = flow.sample({ shape: [600, 2, 1], seed: new RandomStream(1, 2 ** 41) });
    const numbers = await x.data();
    samples.forEach(([right, down], i) => {
      // The plane from −4 to 4 is 312 wide and high, with 40 to the left and 24 above.
      expect(numbers[2 * i]).toBeCloseTo(((right - 40) / 312) * 8 - 4, 4);
      expect(numbers[2 * i + 1]).toBeCloseTo(4 - ((down - 24) / 312) * 8, 4);
    });

    await again.page.click('#start');
    await paused(again.page);
    expect((await figures(again.page)).step).toBe(61);
    expect([...first.problems, ...again.problems]).toEqual([]);
    await again.page.close();
  });

  it('trains a network of points that a program saved, on the chosen data', async () => {
    const path = join(site.folder, 'points.safetensors');
    await saveModel(path, points(), { metadata: { author: 'somebody' } });
    const { page, problems } = await site.open('?steps=20');
    await open(page, path);
    expect(await said(page)).toEqual({ type: 'Glow', input: '[N, 2]', reason: '' });
    expect(await page.textContent('#model-metadata')).toBe('authorsomebody');
    await page.waitForSelector('#samples svg');
    await page.selectOption('[name=density]', 'twoMoons');
    await page.click('#start');
    await paused(page);
    expect((await figures(page)).step).toBe(20);
    expect(await page.getAttribute('#layer', 'max')).toBe('3');
    for (const id of ['density', 'samples', 'grid', 'curve', 'memory']) {
      expect(await page.locator(`#${id} svg`).count(), id).toBe(1);
    }
    await page.screenshot({ path: join(pictures, 'opened.png'), fullPage: true });
    const trained = await save(page, join(site.folder, 'trained.safetensors'));
    const info = await readModelInfo(trained);
    expect(info.config.$type).toBe('Glow');
    const metadata = { author: 'somebody', input: '[2]', data: 'twoMoons', step: '20' };
    expect(info.metadata).toEqual(metadata);
    expect(problems).toEqual([]);
    await page.close();
  });

  it('samples images from a model that is dropped on it', async () => {
    const config = { hidden: 4, scales: 2, steps: 1, seed: 1 };
    const flow = buildFlow(config as Parameters<typeof buildFlow>[0]);
    // A checkpoint, as the example glow-mnist writes it.
    const metadata = { 'glow-mnist': JSON.stringify({ config }) };
    const bytes = await checkpointBytes({ parameters: flow.parameters, metadata });
    const { page, problems } = await site.open('');
    await drop(page, 'digits.safetensors', bytes);
    await page.waitForSelector('#image-canvas[data-drawn="16"]');
    expect(await said(page)).toEqual({ type: 'Flow', input: '[N, 1, 28, 28]', reason: '' });
    expect(await page.isVisible('#plane')).toBe(false);
    expect(await page.isDisabled('#start')).toBe(true);
    const warm = await canvas(page);
    const path = await save(page, join(site.folder, 'digits.safetensors'));
    await page.screenshot({ path: join(pictures, 'digits.png'), fullPage: true });
    await page.locator('#temperature').fill('0.3');
    await expect.poll(async () => (await canvas(page)).url, waiting).not.toBe(warm.url);
    await page.close();

    const again = await site.open('');
    await open(again.page, path);
    await again.page.waitForSelector('#image-canvas[data-drawn="16"]');
    expect(await canvas(again.page)).toEqual(warm);
    expect([...problems, ...again.problems]).toEqual([]);
    await again.page.close();
  });

  it('samples images in colour, of the size that the file names or of another', async () => {
    const path = join(site.folder, 'colour.safetensors');
    const glow = new Glow({ channels: 3, hidden: 4, scales: 2, steps: 1, random });
    await saveModel(path, new Sequential([new Logit(), glow]), {
      metadata: { input: '[3,16,24]' },
    });
    const { page, problems } = await site.open('');
    await open(page, path);
    await page.waitForSelector('#image-canvas[data-drawn="16"]');
    expect(await canvas(page)).toMatchObject({ width: 4 * (24 + 4), height: 4 * (16 + 4) });
    await page.selectOption('#image-size', { label: '32 × 32, colour' });
    await page.waitForSelector('#image-canvas[width="144"]');
    expect(await canvas(page)).toMatchObject({ width: 4 * (32 + 4), height: 4 * (32 + 4) });
    expect(problems).toEqual([]);
    await page.close();
  });

  it('says what a model is, and what it would need, where nothing can be drawn', async () => {
    const models: [string, Module, RegExp][] = [
      ['Flow', new Flow({ network: conditional() }), /conditional.* context/],
      ['ConditionalGlow', conditional(), /conditional.* context/],
      ['HyperbolicNetwork', pairs(), /pairs of tensors/],
      ['ResNet', new ResNet({ inChannels: 2, hidden: 4, outChannels: 3 }), /not an invertible/],
      ['Glow', new Glow({ channels: 5, ndims: 0, scales: 1, random }), /shape \[5\].* two numbers/],
      [
        'Glow',
        new Glow({ channels: 1, ndims: 3, scales: 1, steps: 1, random }),
        /\[1, 32, 32, 32\]/,
      ],
    ];
    const { page, problems } = await site.open('');
    for (const [i, [type, model, reason]] of models.entries()) {
      const path = join(site.folder, `other-${i}.safetensors`);
      await saveModel(path, model, { metadata: { note: `${i}` } });
      await open(page, path);
      expect(await page.textContent('#model-metadata')).toBe(`note${i}`);
      expect(await said(page)).toMatchObject({ type, reason: expect.stringMatching(reason) });
      expect(await page.isVisible('#model-summary')).toBe(true);
      expect(await page.textContent('#model-summary')).toContain(type);
      expect(await page.isVisible('#plane')).toBe(false);
      expect(await page.isVisible('#images')).toBe(false);
      expect(await page.isDisabled('#start')).toBe(true);
    }
    await page.screenshot({ path: join(pictures, 'not-drawn.png'), fullPage: true });
    await page.selectOption('[name=network]', 'glow');
    await page.waitForSelector('#app[data-status=idle]');
    expect(await page.isVisible('#plane')).toBe(true);
    expect(await page.isDisabled('#start')).toBe(false);
    expect(problems).toEqual([]);
    await page.close();
  });

  it('tells what is wrong with a file, while the model that it has goes on', async () => {
    const flow = new Flow({ network: points() });
    const whole = await checkpointBytes(flow);
    const weights = await checkpointBytes({ parameters: flow.parameters.slice(1) });
    const files: [string, Uint8Array, string][] = [
      ['rubbish', new TextEncoder().encode('not a model'), 'is not a safetensors file'],
      ['empty', new Uint8Array(), 'is not a whole safetensors file'],
      ['cut', whole.subarray(0, whole.length - 100), 'is truncated'],
      ['weights', weights, 'holds weights alone, without the configuration of a model'],
    ];
    const { page, problems } = await site.open('?depth=2&width=16&autostart');
    for (const [name, bytes, message] of files) {
      await drop(page, `${name}.safetensors`, bytes);
      await expect.poll(() => page.textContent('#message'), waiting).toContain(message);
      expect(await page.textContent('#message')).toContain(`${name}.safetensors`);
      const { step } = await figures(page);
      await expect.poll(async () => (await figures(page)).step, waiting).toBeGreaterThan(step + 20);
      expect(await page.getAttribute('#app', 'data-status')).toBe('running');
    }
    expect(await page.textContent('#model-file')).toBe('made here');
    expect(problems).toEqual([]);
    await page.close();
  });
});
