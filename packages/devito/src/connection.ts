/**
 * A long-lived child process that is asked and answers, synchronously: operators are called from where nothing can
 * be awaited. A worker thread holds its pipes, and the caller sleeps until the answer is there.
 *
 * Left out: what is asked (devito.ts).
 */
import {
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  Worker,
} from 'node:worker_threads';
import { InvNetError } from '@invnet/tensor';
import { type Frame, frameBytes } from './frames.ts';
import { ANSWERED, type Answer, STARTED, type WorkerStart } from './words.ts';

/** Milliseconds that a thread may take to start, on a machine that has other things to do. */
const LONGEST_START = 60_000;

/** The engine could not be started, has ended, or reports an error of its own. */
export class DevitoError extends InvNetError {
  override name = 'DevitoError';
}

/** What is started. */
export interface ProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * @example
 * using child = new Connection({ command: 'python3', args: ['server.py'], environment: {} });
 * const { header, arrays } = child.ask({ op: 'double' }, [Float32Array.of(1, 2)]);
 */
export class Connection implements Disposable {
  readonly #name: string;
  readonly #port: MessagePort;
  readonly #answers = new Int32Array(new SharedArrayBuffer(8));
  #taken = 0;
  #ended: string | undefined;
  #numbers = 0;

  constructor({ command, args, environment }: ProcessOptions) {
    this.#name = command;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const start = { command, args, environment, port: port2, answers: this.#answers.buffer };
    const file = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js';
    const worker = new Worker(new URL(file, import.meta.url), {
      workerData: start satisfies WorkerStart,
      transferList: [port2],
      // Those of this thread may be none for it, as those of `node -e`.
      execArgv: [],
    });
    // A program ends when it is done; then the child's standard input ends, and so does the child.
    worker.unref();
    worker.on('error', (error) => {
      this.#ended ??= `is out of reach: ${error.message}`;
    });
    if (Atomics.wait(this.#answers, STARTED, 0, LONGEST_START) === 'timed-out') {
      this.dispose();
      throw new DevitoError(
        `Devito: the thread that is to start ${command} did not start within ${LONGEST_START / 1000} s.`,
      );
    }
  }

  /**
   * Sends a frame and waits for the answer.
   *
   * @throws DevitoError with the error that the process reports; and when it has ended, or ends before it answers.
   */
  ask(fields: Readonly<Record<string, unknown>>, arrays: readonly Float32Array[] = []): Frame {
    const frame = this.#answer(frameBytes(fields, arrays));
    if (!frame) {
      throw new DevitoError(
        `Devito: ${this.#name} ${this.#ended}. Expected an answer to '${fields.op}'. Start it anew by another ` +
          'Devito().',
      );
    }
    const { error, trace } = frame.header;
    if (error === undefined) return frame;
    throw new DevitoError(`Devito: '${fields.op}' failed: ${error}\n${trace}`);
  }

  /** The next answer; undefined when there will be none. */
  #answer(question: Uint8Array): Frame | undefined {
    if (this.#ended !== undefined) return undefined;
    this.#port.postMessage(question);
    Atomics.wait(this.#answers, ANSWERED, this.#taken);
    this.#taken += 1;
    const received: { message: Answer } | undefined = receiveMessageOnPort(this.#port);
    const answer = received?.message ?? { ended: 'gave no answer' };
    if ('frame' in answer) return answer.frame;
    this.#ended = answer.ended;
    return undefined;
  }

  /** A number that nothing else in the process has. */
  nextNumber(): number {
    return ++this.#numbers;
  }

  /** Lets go of what the process keeps under a number; where it has ended, nothing is kept. */
  forget(number: number): void {
    this.#answer(frameBytes({ op: 'forget', number }));
  }

  /** Ends the process. */
  dispose(): void {
    this.#ended ??= 'was disposed of';
    // The thread ends the process then, and itself when that has ended.
    this.#port.close();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
