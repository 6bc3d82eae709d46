/**
 * Operations that run in a process of their own, which so has its own memory, its own flags and its own
 * clock. It is asked by lines, and answers each by a line of JSON: first, when it has loaded everything, what it
 * has; `run <i>` with the milliseconds of one run; `result <i> <file>` with the lengths of the arrays that it
 * wrote; anything else as the process likes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { scratchFolder } from '../scratch.ts';
import type { Operation } from './peer.ts';
import { readFloats } from './problem-files.ts';

/** What a process says that it has. */
export interface Offered {
  readonly name: string;
  /** Does it compute what others do? */
  readonly compared: boolean;
}

/** A process with its operations. */
export interface Served {
  readonly operations: readonly Operation[];
  /** Asks for something else than an operation. */
  ask(line: string): Promise<unknown>;
  /** The most bytes in memory that it had since it was loaded; undefined where nobody tells. */
  peakMemory(): number | undefined;
  /** Ends it. */
  close(): void;
}

const server = fileURLToPath(new URL('./serve.ts', import.meta.url));

/** Starts `serve.ts` with what follows it, in this version of Node.js. */
export function serve(...args: readonly string[]): Promise<Served> {
  return start(process.execPath, [server, ...args]);
}

/** Starts a program, and waits until it has loaded. @throws Error with its last words when it ends before. */
export async function start(command: string, args: readonly string[]): Promise<Served> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const lines = answers(child);
  const ask = (line: string): Promise<unknown> => {
    child.stdin.write(`${line}\n`);
    return lines.next();
  };
  const offered = (await lines.next()) as readonly Offered[];
  forgetPeak(child.pid!);
  const file = join(await scratchFolder(), 'result.bin');
  const operations = offered.map(({ name, compared }, i): Operation => {
    const result = async () => {
      const { lengths } = (await ask(`result ${i} ${file}`)) as { lengths: number[] };
      const all = await readFloats(file);
      let at = 0;
      return lengths.map((length) => {
        at += length;
        return all.subarray(at - length, at);
      });
    };
    const time = async () => ((await ask(`run ${i}`)) as { milliseconds: number }).milliseconds;
    return {
      name,
      run: async () => {
        await time();
      },
      time,
      ...(compared && { result }),
    };
  });
  return {
    operations,
    ask,
    peakMemory: () => peakOf(child.pid!),
    close: () => child.kill(),
  };
}

/** The lines of a process, parsed, one after the other. */
function answers(child: ChildProcess): { next(): Promise<unknown> } {
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  let errors = '';
  child.stderr!.on('data', (chunk) => {
    errors += chunk;
  });
  // Writing to one that has ended is told by its silence.
  child.stdin!.on('error', () => {});
  const failed = new Promise<never>((_, reject) => {
    child.once('error', (error) => reject(new Error(`not started: ${error.message}`)));
  });
  failed.catch(() => {});
  return {
    next: async () => {
      const { done, value } = await Promise.race([lines.next(), failed]);
      if (done) {
        const said = errors.trim().split('\n').at(-1);
        throw new Error(`ended: ${said || 'without a word'}`);
      }
      const answer = JSON.parse(value);
      if (answer.error !== undefined) throw new Error(answer.error);
      return answer;
    },
  };
}

/** Lets Linux count a process's peak anew. */
function forgetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
  } catch {
    // Then the peak is that since its start.
  }
}

/** What Linux says of a process, in bytes. */
function peakOf(pid: number): number | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const [, kibibytes] = /^VmHWM:\s+(\d+) kB/m.exec(status) ?? [];
    return kibibytes === undefined ? undefined : 1024 * Number(kibibytes);
  } catch {
    return undefined;
  }
}
