/**
 * Glow in PyTorch and in the Python libraries that are built on it, where `python3` has them: one
 * child process each, which is asked for one step at a time, so that turns interleave.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Contestant } from '../contest.ts';
import type { Operation, Problem, Results } from './peer.ts';

const program = fileURLToPath(new URL('./glow.py', import.meta.url));

/** What each of them computes, as far as it is not what ours does. */
const libraries: Readonly<Record<string, string>> = {
  torch: 'autograd, the same network',
  normflows: 'its GlowBlock',
  FrEIA: 'its AffineCouplingOneSided, mixing not trained',
  memcnn: 'its reversible AffineCoupling of both halves, no log-determinant',
};

/**
 * A contestant for each library; those that are absent fail to load, with the reason. `shape` makes
 * of the loss and the gradients what is compared.
 */
export async function pythonPeers(
  problem: Problem,
  threads: number,
  name: string,
  shape: (results: Results) => Results,
): Promise<Contestant[]> {
  const folder = await mkdtemp(join(tmpdir(), 'invnet-bench-'));
  const data = join(folder, 'problem.json');
  const plain = ({ shape, values }: Problem['images']) => ({ shape, values: [...values] });
  await writeFile(
    data,
    JSON.stringify({
      sizes: problem.glow,
      threads,
      images: plain(problem.images),
      parameters: problem.parameters.map(plain),
    }),
  );
  return Object.entries(libraries).map(([library, backend]): Contestant => {
    return { library, backend, load: async () => [await start(library, data, name, shape)] };
  });
}

async function start(
  library: string,
  data: string,
  name: string,
  shape: (results: Results) => Results,
): Promise<Operation> {
  try {
    await promisify(execFile)('python3', ['-c', `import torch, ${library}`]);
  } catch {
    throw new Error('not there: python3 cannot import it.');
  }
  const child = spawn('python3', ['-W', 'ignore', program, library, data], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  // It ends with its input, and keeps nothing waiting.
  child.unref();
  const ask = asking(child);
  return {
    name,
    run: async () => {
      await ask('step');
    },
    // Only plain PyTorch computes from the same parameters.
    ...(library === 'torch' && {
      result: async () => shape(JSON.parse(await ask('gradients')) as number[][]),
    }),
  };
}

/** Writes a line, and waits for the line that answers it. */
function asking(child: ChildProcess): (line: string) => Promise<string> {
  const lines = createInterface({ input: child.stdout! });
  let errors = '';
  child.stderr!.on('data', (chunk) => {
    errors += chunk;
  });
  return (line) =>
    new Promise((resolve, reject) => {
      const ended = () => {
        const said = errors.trim().split('\n').at(-1);
        reject(new Error(`ended: ${said || 'without a word'}`));
      };
      child.once('exit', ended);
      lines.once('line', (answer) => {
        child.off('exit', ended);
        resolve(answer);
      });
      child.stdin!.write(`${line}\n`);
    });
}
