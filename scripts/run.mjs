/**
 * Runs a TypeScript program of the workspace with the arguments given, on the Node.js that the
 * workspace installs, after compiling the kernels if they changed: the native ones where there is a C compiler.
 * `pnpm start --minutes 1` and `pnpm start -- --minutes 1` are the same.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';

const [program, ...args] = process.argv.slice(2);
if (args[0] === '--') args.shift();

await compileKernels();

const child = spawn(process.execPath, [program, ...args], { stdio: 'inherit' });
// A terminal sends Ctrl-C to the program as well, which decides when it is done.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));

/** Silent where nothing is to do, which takes a second; otherwise it says why nothing happens yet. */
async function compileKernels() {
  const compiler = spawn(
    process.execPath,
    ['node_modules/turbo/bin/turbo', 'run', 'wasm', 'native', '--output-logs=errors-only'],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  for (const stream of [compiler.stdout, compiler.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  }
  const notice = setTimeout(() => {
    console.error('Compiling the kernels where they changed; the first time takes minutes …');
  }, 3000);
  const [code] = await once(compiler, 'close');
  clearTimeout(notice);
  if (code === 0) return;
  process.stderr.write(output);
  process.exit(1);
}
