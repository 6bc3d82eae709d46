/**
 * Runs a TypeScript program of the workspace with the arguments given, on the Node.js that the
 * workspace installs, after compiling the kernels if they changed: the native ones where there is a C compiler.
 * `pnpm start --minutes 1` and `pnpm start -- --minutes 1` are the same.
 */
import { spawn, spawnSync } from 'node:child_process';
import process from 'node:process';

const [program, ...args] = process.argv.slice(2);
if (args[0] === '--') args.shift();

const compiled = spawnSync(
  process.execPath,
  ['node_modules/turbo/bin/turbo', 'run', 'wasm', 'native', '--output-logs=errors-only'],
  { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' },
);
if (compiled.status !== 0) {
  process.stderr.write(compiled.stdout + compiled.stderr);
  process.exit(1);
}

const child = spawn(process.execPath, [program, ...args], { stdio: 'inherit' });
// A terminal sends Ctrl-C to the program as well, which decides when it is done.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
