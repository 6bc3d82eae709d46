/**
 * What threads-in-page.test.ts runs in a browser: imported by a page, and the whole of a worker,
 * which answers each message, a number of threads, with the report.
 */
import {
  backendInfo,
  conv,
  convFilterGrad,
  convInputGrad,
  matmul,
  RandomStream,
  setBackend,
} from '../../src/index.ts';

/** Where it ran and what came out, or why nothing did. */
export interface Report {
  readonly isolated: boolean;
  readonly threads?: unknown;
  /** A digest of each result's bits. */
  readonly results?: string[];
  readonly error?: string;
}

/** Convolutions with both gradients, and a product, large enough to be parted among threads. */
export async function report(threads: number): Promise<Report> {
  const isolated = crossOriginIsolated;
  try {
    await setBackend('wasm', { threads });
    return { isolated, threads: backendInfo().details.threads, results: await compute() };
  } catch (error) {
    return { isolated, error: String(error) };
  }
}

async function compute(): Promise<string[]> {
  const random = new RandomStream(5);
  const results = [
    { channels: 17, outputs: 33, kernel: 3, stride: 1 },
    { channels: 64, outputs: 16, kernel: 1, stride: 1 },
    { channels: 16, outputs: 24, kernel: 3, stride: 2 },
  ].flatMap(({ channels, outputs, kernel, stride }) => {
    const options = { stride, padding: (kernel - 1) / 2 };
    const x = random.normal([3, channels, 13, 37]);
    const w = random.normal([outputs, channels, kernel, kernel]);
    const y = conv(x, w, { ...options, bias: random.normal([outputs]), activation: 'relu' });
    const dy = random.normal(y.shape);
    return [y, convInputGrad(dy, w, x.shape, options), convFilterGrad(x, dy, w.shape, options)];
  });
  results.push(matmul(random.normal([200, 190]), random.normal([190, 170])));
  return Promise.all(
    results.map(async (t) => {
      const digest = await crypto.subtle.digest(
        'SHA-256',
        t.dataSync() as Float32Array<ArrayBuffer>,
      );
      return new Uint8Array(digest).join();
    }),
  );
}

if (!('document' in globalThis)) {
  globalThis.onmessage = async ({ data }) => postMessage(await report(data));
}
