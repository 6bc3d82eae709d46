/**
 * Kills a random rank of a training at a random time, again and again: `node packages/mpi/tests/kills.ts 50`. Each run must
 * end with an error within ten seconds of the kill, leave a whole checkpoint or none, and resume to the bits of a run that
 * nothing disturbed.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RandomStream } from '@invnet/tensor';
import { type Ended, mpirun } from './mpirun.ts';
import type { Asked } from './programs/train.ts';

const kills = Number(process.argv[2] ?? 50);
const ranks = 2;
const steps = 20;
const longest = 10;

const folder = await mkdtemp(join(tmpdir(), 'invnet-kills-'));
const seed = Number(process.argv[3] ?? Date.now() % 2 ** 20);
const random = new RandomStream(seed).uniformArray(2 * kills, 0, 1);
const training = (asked: Asked, onOutput?: (stdout: string) => void) =>
  mpirun({
    ranks,
    program: 'train',
    args: [JSON.stringify([asked])],
    ...(onOutput && { onOutput }),
  });

function bitsOf({ code, stdout, stderr }: Ended): string {
  const bits = stdout.match(/"bits":"(\w+)"/)?.[1];
  if (code === 0 && bits) return bits;
  throw new Error(`A run ended with ${code}: ${stderr}`);
}

try {
  const undisturbed = bitsOf(await training({ steps }));
  let slowest = 0;
  for (let i = 0; i < kills; i++) {
    const checkpoint = join(folder, `${i}.safetensors`);
    const victim = Math.floor(random[2 * i]! * ranks);
    let killed = 0;
    let planned = false;
    const run = await training({ steps, checkpoint, pause: 30 }, (stdout) => {
      const pid = Number(stdout.match(new RegExp(`"process":(\\d+),"of":${victim}\\b`))?.[1]);
      // From the start of the training to about its end.
      if (!pid || planned || !stdout.includes('"step"')) return;
      planned = true;
      setTimeout(
        () => {
          killed = performance.now();
          process.kill(pid, 'SIGKILL');
        },
        random[2 * i + 1]! * 40 * (steps - 2),
      );
    });
    const seconds = (performance.now() - killed) / 1000;
    if (run.code === 0) throw new Error(`Kill ${i} of rank ${victim} passed for a success.`);
    if (seconds > longest) throw new Error(`Kill ${i}: the run ended after ${seconds} s.`);
    slowest = Math.max(slowest, seconds);
    const reached = run.stdout.match(/"step"/g)?.length;
    if (bitsOf(await training({ steps, checkpoint })) !== undisturbed) {
      throw new Error(
        `Kill ${i} of rank ${victim} after step ${reached}: resumed to other numbers.`,
      );
    }
    console.log(
      `kill ${i + 1}: rank ${victim}, step ${reached}, ended after ${seconds.toFixed(2)} s`,
    );
  }
  console.log(
    `${kills} kills (seed ${seed}): all resumed; the slowest end took ${slowest.toFixed(2)} s.`,
  );
} finally {
  await rm(folder, { recursive: true });
}
