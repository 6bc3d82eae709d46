/** The built page in a real browser, for the tests. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { build, type PreviewServer, preview } from 'vite';
import { chromiumFlags, chromiumPath } from '../../../scripts/chromium.mjs';

const root = resolve(import.meta.dirname, '..');

/** Where the browser is; in CI a missing one is a failure of vitest.config.ts, elsewhere said there. */
export const executablePath = chromiumPath();

/** Screenshots go here. */
export const pictures = resolve(root, '../../out/playground');

/** The page, with everything that it complains of. */
export interface OpenPage {
  readonly page: Page;
  readonly problems: string[];
}

/** The page served, and a browser to open it in. */
export class Site {
  /** For files of the tests. */
  readonly folder: string;
  readonly #server: PreviewServer;
  readonly #browser: Browser;

  private constructor(folder: string, server: PreviewServer, browser: Browser) {
    this.folder = folder;
    this.#server = server;
    this.#browser = browser;
  }

  static async start(): Promise<Site> {
    const folder = await mkdtemp(join(tmpdir(), 'playground-'));
    await mkdir(pictures, { recursive: true });
    const outDir = join(folder, 'page');
    await build({ root, logLevel: 'error', build: { outDir, emptyOutDir: true } });
    const options = { build: { outDir }, preview: { port: 0 } };
    const server = await preview({ root, logLevel: 'error', ...options });
    const browser = await chromium.launch({ executablePath: executablePath!, args: chromiumFlags });
    return new Site(folder, server, browser);
  }

  async stop(): Promise<void> {
    await this.#browser.close();
    await this.#server.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** The page, ready. */
  async open(query: string, before?: () => void): Promise<OpenPage> {
    const page = await this.#browser.newPage({ viewport: { width: 1180, height: 900 } });
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') problems.push(message.text());
    });
    if (before) await page.addInitScript(before);
    await page.goto(this.#server.resolvedUrls!.local[0]! + query);
    await page.waitForSelector('#app[data-ready]', { state: 'attached' });
    return { page, problems };
  }
}

export async function paused(page: Page): Promise<void> {
  await page.waitForSelector('#app[data-status=paused]', { timeout: 200_000 });
}

export function figures(page: Page): Promise<{ step: number; loss: number; liveBytes: number }> {
  return page.evaluate(() => {
    const { step, loss, liveBytes } = document.getElementById('app')!.dataset;
    return { step: Number(step), loss: Number(loss), liveBytes: Number(liveBytes) };
  });
}

/** Chooses a model file, and waits until it is open. */
export async function open(page: Page, path: string): Promise<void> {
  await page.setInputFiles('#open', path);
  await page.waitForFunction(
    (name) => document.getElementById('model-file')!.textContent === name,
    basename(path),
  );
  await page.waitForSelector('#app[data-status=opened]');
}

/** Drops a file on the page. */
export async function drop(page: Page, name: string, bytes: Uint8Array): Promise<void> {
  await page.evaluate(
    ([file, numbers]) => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([Uint8Array.from(numbers)], file));
      document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true }));
    },
    [name, [...bytes]] as const,
  );
}

/** Saves the page's model, and gives the path. */
export async function save(page: Page, path: string): Promise<string> {
  const loading = page.waitForEvent('download');
  await page.click('#save');
  await (await loading).saveAs(path);
  return path;
}

/** What the page says of its model. */
export async function said(page: Page): Promise<{ type: string; input: string; reason: string }> {
  const text = async (id: string) => (await page.textContent(`#model-${id}`))!;
  return { type: await text('type'), input: await text('input'), reason: await text('reason') };
}

/** Where the samples are drawn, to the last bit of their numbers. */
export async function dots(page: Page): Promise<[number, number][]> {
  await page.waitForSelector('#samples svg');
  return page.$$eval('#samples circle', (circles) =>
    circles.map((c) => [Number(c.getAttribute('cx')), Number(c.getAttribute('cy'))]),
  );
}

/** The picture of sampled images. */
export function canvas(page: Page): Promise<{ width: number; height: number; url: string }> {
  return page.$eval('canvas#image-canvas', (element) => {
    const { width, height } = element as HTMLCanvasElement;
    return { width, height, url: (element as HTMLCanvasElement).toDataURL() };
  });
}
