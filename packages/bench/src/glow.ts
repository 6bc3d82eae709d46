/**
 * The training step of MNIST's Glow: forward, backward and the whole step with Adam, on one thread
 * and on several, as convolution flops per second and as a share of the machine's multiply-add peak;
 * and the same network in other libraries.
 *
 * Convolution flops are those of the couplings' conditioners, evaluated forwards, once more when the
 * state is recomputed, and for both gradients.
 */
import { cpus } from 'node:os';
import { negativeLogLikelihood } from '@invnet/flows';
import { zeroGrad } from '@invnet/layers';
import { type Backend, setBackend, type Tensor, WasmBackend } from '@invnet/tensor';
import { Adam } from '@invnet/train';
import { type Contestant, hold, type Note, type Spread, type Timing } from './contest.ts';
import type { Figure } from './figures.ts';
import { startPeak } from './peak.ts';
import { jaxJs } from './peers/jax.ts';
import { makeProblem, ownGlow, readOne } from './peers/ours.ts';
import type { GlowSizes, Operation, Problem, Results } from './peers/peer.ts';
import { pythonPeers } from './peers/python.ts';
import { formatTable } from './table.ts';

/** What `bench glow` measured. */
export interface GlowReport {
  readonly suite: 'glow';
  readonly sizes: GlowSizes;
  readonly threads: number;
  /** Median GFLOP/s of the machine on as many threads. */
  readonly peak: number;
  /** Of the convolutions of one step. */
  readonly flops: number;
  readonly results: readonly Timing[];
  readonly notes: readonly Note[];
  /** Is every loss and gradient on several threads that on one, bit for bit? */
  readonly equal: boolean;
  readonly backwardOverForward: number;
  /** Time on one thread over that on several, for a step. */
  readonly speedup: number;
  readonly share: number;
  readonly figures: readonly Figure[];
}

/** How large, how often, and whether others take part. */
export interface GlowOptions {
  readonly sizes?: GlowSizes;
  readonly threads?: number;
  readonly repeats?: number;
  readonly peers?: boolean;
}

const mnist: GlowSizes = { batch: 16, channels: 1, side: 28, hidden: 64, scales: 2, steps: 8 };
const step = 'training step';
const ours = 'invnet';
const patience = 20_000;
/** Milliseconds of steps before one is timed: in training one step follows another. */
const warmUp = 200;

/** Runs the suite on wasm, on one thread and on the given number. */
export async function measureGlow(options: GlowOptions = {}): Promise<GlowReport> {
  const {
    sizes = mnist,
    threads = Math.min(2, cpus().length),
    repeats = 31,
    peers = true,
  } = options;
  const backends = new Map<number, Backend>();
  for (const n of new Set([1, threads])) {
    backends.set(n, await WasmBackend.create({ threads: n }));
  }
  const one = backends.get(1)!;
  const wasm = one.info().details.wide ? 'wide wasm' : 'wasm';
  const label = (n: number) => `${wasm}, ${n} thread${n === 1 ? '' : 's'}`;
  const problem = await makeProblem(one, { channels: sizes.hidden, side: 1 }, sizes);
  const peak = await startPeak(threads);
  const rates: number[] = [];
  const measurePeak: Operation = {
    name: 'multiply-add peak',
    run: async () => {
      rates.push(await peak.measure());
    },
  };
  const contestants: Contestant[] = [
    { library: 'machine', backend: 'peak', load: async () => [measurePeak] },
    ...[...backends].reverse().map(([n, backend]): Contestant => {
      return { library: ours, backend: label(n), load: () => ownParts(backend, problem) };
    }),
  ];
  if (peers) {
    const jax = jaxJs('wasm');
    contestants.push({
      library: jax.library,
      backend: `${jax.backend}, without Adam`,
      load: async () => {
        const [operation] = await jax.load(problem, ['glow']);
        const { run, result } = operation!;
        return [{ name: step, run, result: async () => asOneVector((await result?.()) ?? []) }];
      },
    });
    contestants.push(...(await pythonPeers(problem, threads, step, asOneVector)));
  }
  const { results, notes } = await hold(contestants, { repeats, patience, warmUp });
  await peak.close();
  if (peers) {
    const note = 'its wasm backend has no filter gradient, and cannot train';
    notes.push({ library: 'tfjs 4.22.0', backend: 'wasm', note });
  }
  const equal = await sameBits([...backends.values()], problem);
  const top = rates.sort((a, b) => a - b)[Math.floor(rates.length / 2)]!;
  const own = results.filter((r) => r.library === ours);
  const time = (op: string, backend: string): Spread =>
    own.find((r) => r.op === op && r.backend === backend)!;
  const flops = convolutionFlops(sizes);
  const whole = time(step, label(threads)).milliseconds;
  return {
    suite: 'glow',
    sizes,
    threads,
    peak: top,
    flops,
    results: results.filter((r) => r.library !== 'machine'),
    notes,
    equal,
    backwardOverForward:
      time('backward', label(threads)).milliseconds / time('forward', label(threads)).milliseconds,
    speedup: time(step, label(1)).milliseconds / whole,
    share: flops / whole / 1e6 / top,
    figures: own.map(({ op, backend, milliseconds: value, fastest: low, slowest: high }) => {
      return { name: `${op}, ${backend}`, unit: 'ms', value, low, high };
    }),
  };
}

/** The report as a table. */
export function describeGlow(report: GlowReport): string {
  const { sizes, threads, peak, flops, results, notes, equal, share } = report;
  const best = results.find((r) => r.op === step && r.library === ours);
  const rows = results.map((r) => [
    r.op,
    `${r.library}, ${r.backend}`,
    `${r.milliseconds.toFixed(1)} (${r.fastest.toFixed(1)} … ${r.slowest.toFixed(1)})`,
    // Others take other flops: autograd does not run the convolutions once more.
    r.op === step && r.library === ours ? (flops / r.milliseconds / 1e6).toFixed(1) : '',
    r.op === step ? (r.milliseconds / best!.milliseconds).toFixed(2) : '',
  ]);
  const header = ['', 'library', 'ms (fastest … slowest)', 'conv GFLOP/s', 'times ours'];
  return [
    `Glow on [${sizes.batch}, ${sizes.channels}, ${sizes.side}, ${sizes.side}], ${sizes.scales} scales, ` +
      `${sizes.steps} steps, ${sizes.hidden} hidden channels; ${threads} thread(s), medians of turns.`,
    `Convolutions of a step: ${(flops / 1e9).toFixed(2)} GFLOP, at ${(100 * share).toFixed(0)} % of ` +
      `the multiply-add peak (${peak.toFixed(1)} GFLOP/s).`,
    `Backward takes ${report.backwardOverForward.toFixed(2)} times as long as forward; ${threads} ` +
      `thread(s) are ${report.speedup.toFixed(2)} times as fast as one; loss and gradients are ` +
      `${equal ? 'equal bit for bit' : 'DIFFERENT'}.`,
    '',
    formatTable(header, rows),
    ...notes.map((n) => `${n.library}, ${n.backend}: ${n.note}`),
  ].join('\n');
}

/** 2·k²·in·out per position for the three convolutions of each conditioner, four times each. */
export function convolutionFlops({ batch, channels, side, hidden, scales, steps }: GlowSizes) {
  let [width, length, total] = [channels, side, 0];
  for (let scale = 0; scale < scales; scale++) {
    width *= 4;
    length /= 2;
    const taps = 9 * (width / 2) * hidden + hidden * hidden + 9 * hidden * width;
    total += 4 * steps * 2 * batch * length * length * taps;
    width /= 2;
  }
  return total;
}

async function ownParts(backend: Backend, problem: Problem): Promise<Operation[]> {
  await setBackend(backend);
  const { flow, x } = ownGlow(problem);
  const optimizer = new Adam();
  const { network, parameters } = flow;
  const on = (name: string, run: () => Promise<void>): Operation => ({
    name,
    run: async () => {
      await setBackend(backend);
      await run();
    },
  });
  const result = async () => {
    await setBackend(backend);
    using loss = negativeLogLikelihood(flow, x);
    const parts = [loss.dataSync(), ...parameters.map((p) => p.grad!.dataSync())];
    zeroGrad(parameters);
    return asOneVector(parts);
  };
  const dispose = (...tensors: Tensor[]) => {
    for (const t of tensors) t.dispose();
  };
  const made = network.forward(x);
  return [
    {
      ...on(step, async () => {
        negativeLogLikelihood(flow, x).dispose();
        // A rate so small that all steps are alike.
        optimizer.step(parameters, { learningRate: 1e-9 });
        zeroGrad(parameters);
        await readOne(parameters[0]!.data);
      }),
      result,
    },
    on('forward', async () => {
      const { y, logdet } = network.forward(x);
      await readOne(y);
      dispose(y, logdet);
    }),
    on('backward', async () => {
      const { x, dx } = network.backward(made.y, made.y, { dlogdet: made.logdet });
      await readOne(dx);
      dispose(x, dx);
      zeroGrad(parameters);
    }),
  ];
}

/**
 * The loss, and all gradients as one vector. Libraries round differently, and of a million numbers
 * before a ReLU some lie so close to zero that it lets them through in one library and not in another,
 * which shows in a small gradient taken by itself.
 */
function asOneVector([loss, ...gradients]: Results): Results {
  return [loss!, gradients.flatMap((g) => Array.from(g))];
}

async function sameBits(backends: readonly Backend[], problem: Problem): Promise<boolean> {
  const all: Uint8Array[] = [];
  for (const backend of backends) {
    await setBackend(backend);
    const { flow, x } = ownGlow(problem);
    using loss = negativeLogLikelihood(flow, x);
    const arrays = [loss.dataSync(), ...flow.parameters.map((p) => p.grad!.dataSync())];
    all.push(
      Buffer.concat(arrays.map((a) => new Uint8Array(a.buffer, a.byteOffset, a.byteLength))),
    );
  }
  return all.every((bytes) => Buffer.compare(bytes, all[0]!) === 0);
}
