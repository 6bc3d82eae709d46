/**
 * Training steps (loss, gradients, Adam) of Glow at several sizes and of other networks: on our backends, each on
 * one thread and on several, and in other libraries on as many; with the peak memory of each process, and
 * where the time goes by operation.
 *
 * Every contestant is a process of its own, which has loaded and run before it takes turns. Those that compute
 * what ours do get our parameters, and their loss and gradients are compared with ours first.
 */
import { createHash } from 'node:crypto';
import { cpus } from 'node:os';
import process from 'node:process';
import { type Contestant, hold, type Note, type Timing } from './contest.ts';
import type { Figure } from './figures.ts';
import { describePeaks, type Peaks, peakProcesses, peaksOf } from './machine.ts';
import { describeNetwork, type Network, networks, offersOf } from './networks.ts';
import { labelOf, ownBackends, threadsInWords } from './own-backends.ts';
import { makeTrainingProblem } from './peers/own-network.ts';
import type { Operation, Results } from './peers/peer.ts';
import { writeProblem } from './peers/problem-files.ts';
import { type Served, serve } from './peers/process.ts';
import { startPython } from './peers/python.ts';
import { describeProfile, type Profile } from './profile.ts';
import { formatTable } from './table.ts';

/** What a contestant took. */
export interface StepTiming extends Timing {
  /** The most bytes that its process had in memory while steps ran; undefined where the system tells nothing. */
  readonly peakBytes: number | undefined;
}

/** One network. */
export interface NetworkReport {
  readonly name: string;
  readonly network: Network;
  readonly results: readonly StepTiming[];
  readonly notes: readonly Note[];
  /** Are the loss and all gradients the same bits on each of our backends and numbers of threads? */
  readonly equal: boolean;
  /** Of the machine on as many threads. */
  readonly peaks: Peaks;
  /** Of the fastest of our backends, on one thread. */
  readonly profile: Profile | undefined;
}

/** What `bench glow` measured. */
export interface GlowReport {
  readonly suite: 'glow';
  readonly threads: number;
  readonly networks: readonly NetworkReport[];
  readonly figures: readonly Figure[];
}

/** Which networks, how often, and whether others take part. */
export interface GlowOptions {
  /** By their names. Default: all. */
  readonly chosen?: Readonly<Record<string, Network>>;
  readonly threads?: number;
  readonly repeats?: number;
  readonly peers?: boolean;
}

const ours = 'invnet';
const machine = 'machine';
/** Those that the fastest is sought among; memcnn gives time for memory, and jax-js has no native code. */
const fast: readonly string[] = ['torch', 'normflows', 'FrEIA'];
/** Milliseconds of turns after which a contestant takes no further one. */
const patience = 4000;
/** Milliseconds of steps before one is timed: in training one step follows another. */
const warmUp = 200;

/** The networks of some names, all without any. @throws Error for a name that there is not. */
export function chooseNetworks(names: string | undefined): Readonly<Record<string, Network>> {
  if (names === undefined) return networks;
  const chosen = names.split(',').map((name): [string, Network] => {
    const network = Object.hasOwn(networks, name) ? networks[name] : undefined;
    if (network) return [name, network];
    const known = Object.keys(networks).join(', ');
    throw new Error(`unknown network '${name}'; expected some of ${known}, joined by commas.`);
  });
  return Object.fromEntries(chosen);
}

/** Runs the suite. */
export async function measureGlow(options: GlowOptions = {}): Promise<GlowReport> {
  const { chosen = networks, threads = Math.min(2, cpus().length) } = options;
  const { repeats = 15, peers = true } = options;
  const reports: NetworkReport[] = [];
  for (const [name, network] of Object.entries(chosen)) {
    process.stderr.write(`bench: ${describeNetwork(network)} …\n`);
    reports.push(await measureNetwork(name, network, { threads, repeats, peers }));
  }
  const figures = reports.flatMap(({ name, results }) =>
    results
      .filter((r) => r.library === ours)
      .map(({ backend, milliseconds: value, fastest: low, slowest: high }): Figure => {
        return { name: `${name}, ${backend}`, unit: 'ms', value, low, high };
      }),
  );
  return { suite: 'glow', threads, networks: reports, figures };
}

async function measureNetwork(
  name: string,
  network: Network,
  { threads, repeats, peers }: Required<Omit<GlowOptions, 'chosen'>>,
): Promise<NetworkReport> {
  const problem = await writeProblem(await makeTrainingProblem(network));
  const running = new Map<string, Served>();
  const digests = new Set<string>();
  const enter = (library: string, backend: string, start: () => Promise<Served>): Contestant => ({
    library,
    backend,
    load: async () => {
      const served = await start();
      running.set(`${library}, ${backend}`, served);
      return served.operations.map((operation) => {
        return compared(operation, (digest) => library === ours && digests.add(digest));
      });
    },
  });
  const notes: Note[] = [];
  const others: Contestant[] = [];
  for (const [key, offer] of Object.entries(peers ? offersOf(network) : {})) {
    const library = key.replace('-wrapper', '');
    if ('lacks' in offer) notes.push({ library, backend: 'left out', note: `${offer.lacks}.` });
    else {
      const start = () =>
        key === 'jax-js' ? serve('jax', problem) : startPython(key, problem, threads);
      others.push(enter(library, offer.computes, start));
    }
  }
  const counts = [...new Set([threads, 1])];
  const contestants = [
    ...[...ownBackends].reverse().flatMap((backend) =>
      counts.map((count) => {
        const start = () => serve('training', problem, backend, String(count));
        return enter(ours, labelOf(backend, count), start);
      }),
    ),
    ...others,
    ...[...peakProcesses(threads)].map(([bits, start]) => enter(machine, `${bits} bits`, start)),
  ];
  try {
    const held = await hold(contestants, { repeats, patience, warmUp });
    const results = held.results
      .filter((r) => r.library !== machine)
      .map((r): StepTiming => {
        return { ...r, peakBytes: running.get(`${r.library}, ${r.backend}`)!.peakMemory() };
      });
    const peaks = peaksOf(held.results, threads);
    const best = [...ownBackends].reverse().map((b) => running.get(`${ours}, ${labelOf(b, 1)}`));
    const profile = await best.find((served) => served !== undefined)?.ask('profile');
    return {
      ...{ name, network, results, notes: [...notes, ...held.notes], equal: digests.size === 1 },
      ...{ peaks, profile: profile as Profile | undefined },
    };
  } finally {
    for (const served of running.values()) served.close();
  }
}

/** The operation, whose result's bits are told as it passes by. */
function compared(operation: Operation, tell: (digest: string) => void): Operation {
  const { result, ...rest } = operation;
  if (!result) return rest;
  return {
    ...rest,
    result: async () => {
      const parts = await result();
      const hash = createHash('sha256');
      for (const part of parts) hash.update(new Uint8Array(Float32Array.from(part).buffer));
      tell(hash.digest('hex'));
      return asOneVector(parts);
    },
  };
}

/**
 * The loss, and all gradients as one vector. Libraries round differently, and of a million numbers
 * before a ReLU some lie so close to zero that it lets them through in one library and not in another,
 * which shows in a small gradient taken by itself.
 */
function asOneVector([loss, ...gradients]: Results): Results {
  return [loss!, gradients.flatMap((g) => Array.from(g))];
}

/** The report as a table of networks, and one of contestants for each. */
export function describeGlow({ threads, networks }: GlowReport): string {
  return [
    `Training steps (loss, gradients, Adam) on ${threadsInWords(threads)}, in ms: medians of turns, each ` +
      'after a step that is not timed. "×": how many times as fast our fastest is as the fastest of ' +
      `${fast.join(', ')}. "${threads}/1": as on one thread.`,
    '',
    describeSummary(threads, networks),
    ...networks.map((network) => `\n${describeContest(threads, network)}`),
    '\ntfjs is left out: its wasm backend has no filter gradient, and cannot train.',
  ].join('\n');
}

/** Where the time goes in each network. */
export function describeProfiles({ networks }: GlowReport): string {
  return networks
    .flatMap(({ name, profile }) => (profile ? [`${name}: ${describeProfile(profile)}`] : []))
    .join('\n\n');
}

function describeSummary(threads: number, networks: readonly NetworkReport[]): string {
  const libraries = [...fast, 'memcnn'];
  const backends = [...ownBackends].reverse();
  const rows = networks.map(({ name, results }) => {
    const timeOf = (library: string, backend?: string) =>
      results.find((r) => r.library === library && (backend ?? r.backend) === r.backend)
        ?.milliseconds;
    const ourTimes = backends.map((backend) => timeOf(ours, labelOf(backend, threads)));
    const best = ourTimes.find((time) => time !== undefined);
    const single = backends.map((b) => timeOf(ours, labelOf(b, 1))).find((t) => t !== undefined);
    const theirs = libraries.map((library) => timeOf(library));
    const fastest = Math.min(...fast.flatMap((library) => timeOf(library) ?? []));
    return [
      name,
      ...[...ourTimes, ...theirs].map((time) => time?.toFixed(1) ?? '—'),
      best !== undefined && Number.isFinite(fastest) ? (fastest / best).toFixed(2) : '—',
      best !== undefined && single !== undefined ? (single / best).toFixed(2) : '—',
    ];
  });
  const header = ['network', ...backends, ...libraries, '×', `${threads}/1`];
  return formatTable(header, rows);
}

function describeContest(
  threads: number,
  { name, network, results, notes, equal, peaks, profile }: NetworkReport,
): string {
  const best = results.find((r) => r.library === ours);
  const rows = results.map((r) => [
    `${r.library}, ${r.backend}`,
    `${r.milliseconds.toFixed(1)} (${r.fastest.toFixed(1)} … ${r.slowest.toFixed(1)})`,
    best ? (r.milliseconds / best.milliseconds).toFixed(2) : '',
    r.peakBytes === undefined ? '—' : (r.peakBytes / 2 ** 20).toFixed(0),
    // Others take other flops: autograd does not run the convolutions once more.
    profile && r.library === ours ? (profile.flops / r.milliseconds / 1e6).toFixed(1) : '',
  ]);
  const flops = profile
    ? `${(profile.flops / 1e9).toFixed(2)} GFLOP in convolutions and products. `
    : '';
  return [
    `${name}: ${describeNetwork(network)}. ${flops}Multiply-add peak of ` +
      `${threadsInWords(threads)}: ${describePeaks(peaks)}. Loss and gradients on all our backends ` +
      `and threads are ${equal ? 'equal bit for bit' : 'DIFFERENT'}.`,
    '',
    formatTable(['', 'ms (fastest … slowest)', 'times ours', 'peak MiB', 'GFLOP/s'], rows),
    ...notes.map((n) => `${n.library}, ${n.backend}: ${n.note}`),
  ].join('\n');
}
