/**
 * The thread that holds the child process, so that the caller can wait for an answer: it writes what it is told to
 * the child's standard input, puts answers together from its standard output, and says when the child has ended.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { workerData } from 'node:worker_threads';
import { FrameReader } from './frames.ts';
import { ANSWERED, type Answer, STARTED, type WorkerStart } from './words.ts';

/** How much of what the child has said on its standard error is kept. */
const MOST_ERROR_TEXT = 20_000;

const { command, args, environment, port, answers }: WorkerStart = workerData;
const words = new Int32Array(answers);
const reader = new FrameReader();
let errors = '';
let ended: string | undefined;

const child = started();

/** The child; none where it could not even be tried, as with a name that no program has. */
function started(): ChildProcessWithoutNullStreams | undefined {
  try {
    return start();
  } catch (error) {
    end(`could not be started: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
}

function start(): ChildProcessWithoutNullStreams {
  const process_ = spawn(command, args, { env: { ...process.env, ...environment } });
  process_.on('error', (error) => end(`could not be started: ${error.message}`));
  process_.on('close', (code, signal) => {
    end(signal === null ? `has ended with code ${code}` : `was ended by ${signal}`);
  });
  process_.stdout.on('data', (part: Buffer) => {
    try {
      const frame = reader.push(part);
      if (frame) answer({ frame });
    } catch (error) {
      end(`has said what is no answer: ${error instanceof Error ? error.message : error}`);
      process_.kill('SIGKILL');
    }
  });
  process_.stderr.on('data', (part: Buffer) => {
    errors = (errors + part.toString()).slice(-MOST_ERROR_TEXT);
  });
  // Whoever is gone reads no more; its end is told by 'close'.
  process_.stdin.on('error', () => {});
  return process_;
}

port.on('message', (message: Uint8Array) => {
  if (ended !== undefined) {
    answer({ ended });
  } else {
    child?.stdin.write(message);
  }
});
// Not by an end of this thread, which would not hear of the child's, and leave it as a zombie.
port.on('close', () => child?.kill());

// Only now can questions be answered.
Atomics.store(words, STARTED, 1);
Atomics.notify(words, STARTED);

/** Says so once to who waits now, and to all who ask later. */
function end(how: string): void {
  if (ended !== undefined) return;
  ended = errors.trim() === '' ? how : `${how}; it said:\n${errors.trim()}`;
  answer({ ended });
}

function answer(what: Answer): void {
  const moved = 'frame' in what ? what.frame.arrays.map((a) => a.buffer as ArrayBuffer) : [];
  port.postMessage(what, moved);
  Atomics.add(words, ANSWERED, 1);
  Atomics.notify(words, ANSWERED);
}
