/** The command `bench`: picks a suite, prints its table and, with --json, one JSON line last. */
import { parseArgs } from 'node:util';
import { setBackend } from '@invnet/tensor';
import { describeGpu, measureGpu } from './gpu.ts';
import { describeMemory, measureMemory } from './memory.ts';
import { describeNetworks, measureNetworks } from './network-memory.ts';
import { describeOps, measureOps } from './ops.ts';

/** A suite prints its table and returns the report behind it. */
type Suite = () => Promise<object>;

const suites: Readonly<Record<string, Suite>> = {
  gpu: async () => {
    const report = await measureGpu();
    console.log(describeGpu(report));
    return report;
  },
  memory: async () => {
    const networks = measureNetworks();
    console.log(`${describeNetworks(networks)}\n`);
    const report = await measureMemory();
    console.log(describeMemory(report));
    return { ...report, networks };
  },
  ops: async () => {
    const report = measureOps();
    console.log(describeOps(report));
    return report;
  },
};

const help = `Usage: bench <suite> [--backend <name>] [--threads <count>] [--json]

Suites:
  gpu     the gpu backend beside wasm, tfjs and jax-js: convolution, product, Glow step
  memory  peak memory of every network at two depths, and of a Glow training step at five
  ops     GFLOP/s of convolutions and matrix products

  --backend <name>  wasm or reference (default wasm)
  --threads <count> threads of the wasm backend (default 1)
  --json            prints one line of JSON last
  --help            this text`;

/** Runs the command. @throws Error for a suite or flag that does not exist. */
async function main(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: args[0] === '--' ? args.slice(1) : [...args],
    options: {
      backend: { type: 'string', default: 'wasm' },
      threads: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
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
  await setBackend(values.backend, { threads: Number(values.threads) });
  const report = await suite();
  if (values.json) console.log(JSON.stringify(report));
  // A GPU device would keep the process waiting for its events.
  if (name === 'gpu') process.exit();
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
