/** The command `bench`: picks a suite, prints its table and, with --json, one JSON line last. */
import { cpus } from 'node:os';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { requireOneOf, setBackend } from '@invnet/tensor';
import { describeBundle, measureBundle } from './bundle.ts';
import { describeStart, writeTable } from './documents.ts';
import { compareRuns, type Figure, loadRun, saveRun } from './figures.ts';
import { chooseNetworks, describeGlow, describeProfiles, measureGlow } from './glow.ts';
import { describeGpu, measureGpu } from './gpu.ts';
import { describeKeeping, measureKeeping } from './keeping.ts';
import { describeTable, measureTable } from './large-table.ts';
import { describeMemory, measureMemory } from './memory.ts';
import { describeMpi, measureMpi } from './mpi.ts';
import { describeNetworks, measureNetworks } from './network-memory.ts';
import { describeOps, measureOps } from './ops.ts';
import { describeParity, measureParity } from './parity.ts';
import { chooseSbi, describeSbi, measureSbi, type SbiOptions } from './sbi.ts';
import { describeScaling, measureScaling } from './scaling.ts';
import { describeSplines, measureSplines } from './splines.ts';
import { describeSweep, measureSweep } from './sweep.ts';
import { describeWaves, measureWaves } from './waves.ts';

interface SuiteOptions {
  readonly threads: number;
  readonly peers: boolean;
  readonly network: string | undefined;
  readonly sweep: boolean;
  /** Of sbi. */
  readonly rows: SbiOptions;
}

/** What a suite measured, and the text that says it. */
interface Outcome {
  readonly report: { readonly figures?: readonly Figure[] };
  readonly table: string;
  /** What is printed behind it, and not written into a document. */
  readonly details?: string;
  /** Does something not hold that the suite is to show? The command ends with 1 then. */
  readonly failed?: boolean;
}

const suites: Readonly<Record<string, (options: SuiteOptions) => Promise<Outcome>>> = {
  bundle: async () => {
    const report = await measureBundle();
    return { report, table: describeBundle(report) };
  },
  glow: async ({ threads, peers, network }) => {
    const report = await measureGlow({ threads, peers, chosen: chooseNetworks(network) });
    return { report, table: describeGlow(report), details: describeProfiles(report) };
  },
  gpu: async ({ peers }) => {
    const report = await measureGpu({ peers });
    return { report: { ...report, figures: [] }, table: describeGpu(report) };
  },
  keep: async ({ network }) => {
    const report = await measureKeeping({ chosen: chooseNetworks(network) });
    return { report, table: describeKeeping(report) };
  },
  memory: async () => {
    const networks = await measureNetworks();
    const report = await measureMemory();
    const table = `${describeNetworks(networks)}\n\n${describeMemory(report)}`;
    const peak = (name: string, value: number): Figure => {
      return { name, unit: 'bytes', value, low: value, high: value };
    };
    const figures = [
      ...networks.map((n) => peak(n.network, n.peaks[1])),
      ...report.results.map((r) => peak(`Glow step, K = ${r.steps}`, r.peak)),
    ];
    return { report: { ...report, networks, figures }, table };
  },
  mpi: async () => {
    const report = await measureMpi();
    return { report, table: describeMpi(report) };
  },
  ops: async ({ peers, threads, sweep }) => {
    if (sweep) {
      const report = await measureSweep({ threads });
      return { report, table: describeSweep(report) };
    }
    const report = await measureOps({ peers, threads });
    return { report, table: describeOps(report) };
  },
  parity: async () => {
    const report = await measureParity();
    return { report, table: describeParity(report), failed: !report.holds };
  },
  scaling: async () => {
    const report = await measureScaling();
    return { report, table: describeScaling(report) };
  },
  sbi: async ({ threads, rows }) => {
    const report = await measureSbi({ threads, ...rows });
    return { report, table: describeSbi(report) };
  },
  splines: async ({ threads, peers }) => {
    const report = await measureSplines({ threads, peers });
    return { report, table: describeSplines(report) };
  },
  table: async ({ threads }) => {
    const report = await measureTable({ threads });
    return { report, table: describeTable(report), failed: !report.flat };
  },
  waves: async ({ threads }) => {
    const report = await measureWaves({ threads });
    return { report, table: describeWaves(report) };
  },
  start: async () => ({ report: {}, table: await describeStart() }),
};

const help = `Usage: bench <suite> [flags]

Suites:
  bundle   what the smallest page that trains downloads, compressed, beside its limit
  glow     training steps of six networks, on one thread and several, beside other libraries
  gpu      the gpu backend beside wasm, tfjs and jax-js: convolution, product, Glow step
  keep     time and memory of training steps by what forwards keep for their backwards
  memory   peak memory of every network at two depths, and of a Glow training step at five
  mpi      two ranks of an mpirun beside one: images a second, and the share of communication
  ops      convolutions and products as shares of the machine's peak, beside other libraries
  parity   whether layers agree with those of FrEIA, MemCNN, nflows, normflows and zuko, of the same weights
  sbi      the benchmark of simulation-based inference: C2ST and times, beside the Python package sbi
  scaling  time and memory of a 3D Glow's training step with volume and with depth
  splines  training steps of couplings by splines, beside affine ones, nflows and zuko
  table    a flow fitted from disk to tables of 10⁶ and 10⁷ rows: rows a second, and whether memory stays flat
  waves    wave fields: updates of a cell a second
  start    what the last \`start\` measured of the model that it trained

  --backend <name>   wasm or reference (default wasm), where a suite does not measure all of ours
  --threads <count>  threads of the wasm backend (default 2 where there are two cores)
  --wide             asks for vectors of 256 bits (wasm in Node.js on x64)
  --network <names>  those networks of glow or keep alone, joined by commas
  --task <names>     those tasks of sbi alone, joined by commas (default the five of the table)
  --simulations <n>  of sbi, joined by commas (default 10000)
  --estimator <names>  of sbi: spline, affine, autoregressive, flow-matching (default spline)
  --observations <n> the first so many of sbi's ten
  --peer sbi         the same by the Python package sbi, where python3 has it
  --sweep            instead of ops: convolutions of some 360 shapes, and the worst ratios
  --no-peers         leaves other libraries out, which are otherwise installed on first use
  --save <file>      stores the run
  --compare <file>   says what changed from a stored run
  --write            writes the table into README.md
  --json             prints one line of JSON last
  --help             this text`;

/** Runs the command. @throws Error for a suite or flag that does not exist. */
async function main(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: args[0] === '--' ? args.slice(1) : [...args],
    options: {
      backend: { type: 'string', default: 'wasm' },
      threads: { type: 'string', default: String(Math.min(2, cpus().length)) },
      wide: { type: 'boolean', default: false },
      peers: { type: 'boolean', default: true },
      network: { type: 'string' },
      sweep: { type: 'boolean', default: false },
      task: { type: 'string' },
      simulations: { type: 'string' },
      estimator: { type: 'string' },
      observations: { type: 'string' },
      peer: { type: 'string' },
      save: { type: 'string' },
      compare: { type: 'string' },
      write: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
    allowNegative: true,
    allowPositionals: true,
  });
  if (values.help) {
    console.log(help);
    return;
  }
  const known = Object.keys(suites).join(', ');
  const [name, ...rest] = positionals;
  if (name === undefined) throw new Error(`no suite given; expected one of ${known}.`);
  const suite = Object.hasOwn(suites, name) ? suites[name] : undefined;
  if (!suite) throw new Error(`unknown suite '${name}'; expected one of ${known}.`);
  if (rest.length > 0) throw new Error(`unexpected '${rest[0]}'; expected one suite, of ${known}.`);
  if (values.sweep && name !== 'ops') throw new Error('--sweep is of ops only.');
  if (values.sweep && values.write) throw new Error('--sweep has no table in README.md.');
  // Read before hours are spent on a run that could not be compared.
  const before =
    values.compare === undefined
      ? undefined
      : await loadRun(values.compare, values.sweep ? 'sweep' : name);
  const threads = Number(values.threads);
  const { backend } = values;
  requireOneOf('bench', '--backend', backend, ['wasm', 'reference']);
  // Holds for the process, so for the backends that suites make as well.
  await setBackend(backend, { threads, wide: values.wide });
  const { peers, network, sweep } = values;
  const { task, simulations, estimator, observations, peer } = values;
  const chosen = { task, simulations, estimator, observations, peer };
  if (name !== 'sbi' && Object.values(chosen).some((flag) => flag !== undefined)) {
    throw new Error(
      '--task, --simulations, --estimator, --observations and --peer are of sbi only.',
    );
  }
  const rows = chooseSbi(chosen);
  const options = { threads, peers, network, sweep, rows };
  const { report, table, details, failed } = await suite(options);
  console.log(details ? `${table}\n\n${details}` : table);
  if (before) console.log(`\n${compareRuns(before, report.figures ?? [])}`);
  if (values.save !== undefined) await saveRun(values.save, report);
  if (values.write) await writeTable(name, table);
  if (failed) process.exitCode = 1;
  if (values.json) console.log(JSON.stringify(report));
  // GPU devices and other libraries' processes would keep this one waiting.
  process.stdout.write('', () => process.exit());
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
