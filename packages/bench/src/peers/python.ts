/** Networks in PyTorch and in the Python libraries that are built on it, where `python3` has them. */
import { fileURLToPath } from 'node:url';
import { type Served, start } from './process.ts';

const program = fileURLToPath(new URL('./training.py', import.meta.url));

/** What trains splines in the libraries that have them. */
export const splineProgram = fileURLToPath(new URL('./splines.py', import.meta.url));

/**
 * The training step of a library, a key of `offersOf`, on the problem in a file.
 *
 * @throws Error with Python's last words where it cannot be had.
 */
export function startPython(library: string, problem: string, threads: number): Promise<Served> {
  const args = ['-B', '-W', 'ignore', program, library, problem, String(threads)];
  return start('python3', args);
}
