/** What the caller and the thread that holds the pipes share. */
import type { MessagePort } from 'node:worker_threads';
import type { Frame } from './frames.ts';

/** The word that counts answers. */
export const ANSWERED = 0;
/** The word that is 1 when the thread has started. */
export const STARTED = 1;

/** What the thread is started with. */
export interface WorkerStart {
  readonly command: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Questions come from here, and answers go there. */
  readonly port: MessagePort;
  /** Two words, which the caller sleeps on. */
  readonly answers: SharedArrayBuffer;
}

/** An answer: a frame, or why there will be none any more. */
export type Answer = { readonly frame: Frame } | { readonly ended: string };
