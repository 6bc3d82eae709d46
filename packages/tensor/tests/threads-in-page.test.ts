/**
 * Threads of the wasm backend in a browser: in a worker of a page that is cross-origin isolated, and
 * nowhere else. The page gets this package's sources, with nothing but the types taken out.
 */
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { stripTypeScriptTypes } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type Browser, chromium } from 'playwright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chromiumFlags, chromiumPath } from '../../../scripts/chromium.mjs';
import type { Report } from './page/program.ts';

const root = join(import.meta.dirname, '..');
const program = '/tests/page/program.ts';
const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};
/** As little as the backend can do with: docs/pages.md names both sources. */
const policy = (scripts: string, workers: string) => ({
  'Content-Security-Policy': `default-src 'none'; script-src 'self' ${scripts}; worker-src 'self' ${workers}`,
});
const executablePath = chromiumPath();

const compiled = new Map<string, Promise<string>>();

/** A source file without its types. */
function javascript(path: string): Promise<string> {
  const known = compiled.get(path);
  if (known) return known;
  const made = readFile(join(root, path), 'utf8').then((text) => stripTypeScriptTypes(text));
  compiled.set(path, made);
  return made;
}

// In CI a missing browser is a failure of vitest.config.ts; elsewhere it is said there.
describe.runIf(executablePath)('threads in a page', () => {
  const servers: Server[] = [];
  let browser: Browser;

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: executablePath!, args: chromiumFlags });
  });

  afterAll(async () => {
    await browser?.close();
    for (const server of servers) server.close();
  });

  /** A page whose responses have these headers. */
  async function open(headers: Record<string, string>) {
    const server = createServer(async ({ url }, response) => {
      const path = new URL(url!, 'http://localhost').pathname;
      if (!path.endsWith('.ts')) {
        response.writeHead(200, { ...headers, 'Content-Type': 'text/html' }).end('<!doctype html>');
        return;
      }
      response.writeHead(200, { ...headers, 'Content-Type': 'text/javascript' });
      response.end(await javascript(path));
    });
    servers.push(server);
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    return {
      /** As text, since vitest rewrites imports in functions. */
      onMainThread: (threads: number) =>
        page.evaluate<Report>(`import('${program}').then(({ report }) => report(${threads}))`),
      inWorker: (threads: number) =>
        page.evaluate<Report>(`new Promise((resolve, reject) => {
          const worker = new Worker('${program}', { type: 'module' });
          worker.onmessage = ({ data }) => resolve(data);
          worker.onerror = ({ message }) => reject(new Error(message));
          worker.postMessage(${threads});
        })`),
    };
  }

  const refusal = /BackendError: wasm: 2 threads need shared memory and a thread that may wait/;

  it('run in a worker of an isolated page, and give the same bits', async () => {
    const { inWorker } = await open({ ...isolation, ...policy("'wasm-unsafe-eval'", 'blob:') });
    const one = await inWorker(1);
    expect(one).toMatchObject({ isolated: true, threads: 1 });
    expect(new Set(one.results).size).toBe(10);
    for (const threads of [2, 3]) {
      const several = await inWorker(threads);
      expect(several).toMatchObject({ isolated: true, threads });
      expect(several.results).toEqual(one.results);
    }
  });

  it('are refused on the main thread, which may not wait', async () => {
    const { onMainThread, inWorker } = await open(isolation);
    const refused = await onMainThread(2);
    expect(refused).toEqual({ isolated: true, error: expect.stringMatching(refusal) });
    const one = await onMainThread(1);
    expect(one).toMatchObject({ isolated: true, threads: 1 });
    expect(one.results).toEqual((await inWorker(1)).results);
  });

  it('are refused in a page that is not isolated', async () => {
    const { onMainThread, inWorker } = await open({});
    for (const refused of [await inWorker(2), await onMainThread(2)]) {
      expect(refused).toEqual({ isolated: false, error: expect.stringMatching(refusal) });
    }
    expect(await inWorker(1)).toMatchObject({ isolated: false, threads: 1 });
  });

  it('end in an error that names it where the policy of the page forbids them', async () => {
    const withoutBlobs = await open({ ...isolation, ...policy("'wasm-unsafe-eval'", '') });
    expect((await withoutBlobs.inWorker(2)).error).toMatch(/BackendError: .*worker-src blob:/);
    const withoutWasm = await open(policy('', ''));
    const { error } = await withoutWasm.onMainThread(1);
    expect(error).toMatch(/BackendError: wasm: .*'wasm-unsafe-eval'/);
  });
});
