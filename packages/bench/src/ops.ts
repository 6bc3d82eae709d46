/**
 * Speed of the operations that training spends its time in: the 3×3 convolution of [8, 64, 32, 32]
 * to 64 channels with its two gradients, and a product of 512 × 512 matrices.
 *
 * Times are wall-clock times of whole calls, memory for the result included, after a warm-up.
 */
import {
  backendInfo,
  conv,
  convFilterGrad,
  convInputGrad,
  matmul,
  RandomStream,
  type Tensor,
} from '@invnet/tensor';
import { formatTable } from './table.ts';

/** One row: GFLOP/s, a multiplication and an addition counting as two. */
export interface OpTiming {
  readonly op: string;
  readonly gflops: number;
  /** GFLOP/s of the slowest and of the fastest repeat. */
  readonly slowest: number;
  readonly fastest: number;
  readonly repeats: number;
}

/** What `bench ops` measured. */
export interface OpsReport {
  readonly suite: 'ops';
  readonly backend: ReturnType<typeof backendInfo>;
  readonly results: readonly OpTiming[];
}

const inputShape = [8, 64, 32, 32];
const weightShape = [64, 64, 3, 3];
const side = 512;

/** Runs the suite on the current backend. */
export function measureOps(options: { repeats?: number } = {}): OpsReport {
  const repeats = options.repeats ?? 21;
  const random = new RandomStream(1);
  using x = random.normal(inputShape);
  using w = random.normal(weightShape, 0.1);
  using dy = random.normal(inputShape);
  using a = random.normal([side, side]);
  using b = random.normal([side, side]);
  const same = { padding: 1 };
  // Every output is a sum of 64·3·3 products.
  const convFlops = 2 * x.size * 64 * 9;
  const cases: [string, number, () => Tensor][] = [
    ['conv 3×3 forward', convFlops, () => conv(x, w, same)],
    ['conv 3×3 input gradient', convFlops, () => convInputGrad(dy, w, inputShape, same)],
    ['conv 3×3 filter gradient', convFlops, () => convFilterGrad(x, dy, weightShape, same)],
    [`product ${side}³`, 2 * side ** 3, () => matmul(a, b)],
  ];
  return {
    suite: 'ops',
    backend: backendInfo(),
    results: cases.map(([op, flops, run]) => timing(op, flops, run, repeats)),
  };
}

/** The report as a table. */
export function describeOps(report: OpsReport): string {
  const rows = report.results.map((r) => [
    r.op,
    r.gflops.toFixed(2),
    `${r.slowest.toFixed(2)} … ${r.fastest.toFixed(2)}`,
    String(r.repeats),
  ]);
  const { name, details } = report.backend;
  return [
    `Backend ${name} ${JSON.stringify(details)}; convolutions of ` +
      `[${inputShape.join(', ')}] to 64 channels.`,
    '',
    formatTable(['operation', 'GFLOP/s (median)', 'slowest … fastest', 'repeats'], rows),
  ].join('\n');
}

function timing(op: string, flops: number, run: () => Tensor, repeats: number): OpTiming {
  for (let i = 0; i < 3; i++) run().dispose();
  const rates: number[] = [];
  for (let i = 0; i < repeats; i++) {
    const start = performance.now();
    const result = run();
    const milliseconds = performance.now() - start;
    result.dispose();
    rates.push(flops / milliseconds / 1e6);
  }
  rates.sort((p, q) => p - q);
  return {
    op,
    gflops: rates[Math.floor(repeats / 2)]!,
    slowest: rates[0]!,
    fastest: rates.at(-1)!,
    repeats,
  };
}
