/** The module of a worker that simulates: it hangs for θ > 0.95, ends for θ < 0.05, and throws in between now and then. */
import process from 'node:process';
import { serveSimulator } from '../src/simulation/serve-simulator.ts';

serveSimulator(([a], { random }) => {
  if (a! > 0.95) for (;;);
  if (a! < 0.05) process.exit(1);
  if (a! > 0.5 && a! < 0.55) throw new RangeError('half');
  return [a!, random.normalArray(1)[0]!];
});
