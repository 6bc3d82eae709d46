/** Calls that fail on purpose at one of their operations or allocations, and what is left then. */
import { type Module, namedBuffers, namedParameters, zeroGrad } from '@invnet/layers';
import {
  type Backend,
  collectTensors,
  memory,
  RandomStream,
  setBackend,
  type Tensor,
} from '@invnet/tensor';
import { expect } from 'vitest';
import { type FaultKind, FaultyBackend } from '../../tensor/tests/faults.ts';

/** A call that is tried, by name. What it returns is freed. */
export type Calls = Readonly<Record<string, () => unknown>>;

/** How calls are tried. */
export interface TrialOptions {
  /** Brings everything back to where it was, after a call that did not fail. */
  readonly undo?: () => void;
  /** How many failures are tried at least, if there are as many places for them. Default: 3. */
  readonly trials?: number;
}

/** Makes tensors go to a backend that `expectNothingLeft` can let fail. */
export async function useFaulty(real: Backend): Promise<FaultyBackend> {
  const faulty = new FaultyBackend(real);
  await setBackend(faulty.backend);
  return faulty;
}

/**
 * Lets each call fail at its operations, or where memory ends at its allocations: all of them where they
 * are few, else some in every part of the call. Each failure reaches the caller, leaves as many tensors and
 * bytes as there were once gradients are cleared, and changes no number of the module.
 */
export async function expectNothingLeft(
  faulty: FaultyBackend,
  kind: FaultKind,
  module: Module,
  calls: Calls,
  { undo = () => {}, trials = 3 }: TrialOptions = {},
): Promise<void> {
  const state = stateOf(module);
  for (const [name, call] of Object.entries(calls)) {
    const before = live();
    const whole = await faulty.attempt(kind, call);
    undone(whole);
    expect(live(), name).toBe(before);
    for (const k of chosen(whole.count, trials)) {
      const attempt = await faulty.attempt(kind, call, k);
      expect(String(attempt.error), `${name}, ${kind} ${k} of ${whole.count}`).toContain('purpose');
      zeroGrad(module.parameters);
      expect(live(), `${name}, ${kind} ${k} of ${whole.count}`).toBe(before);
    }
    expect(stateOf(module), name).toBe(state);
  }

  function undone({
    result,
    error,
  }: {
    readonly result?: unknown;
    readonly error?: unknown;
  }): void {
    expect(error).toBeUndefined();
    dispose(result);
    zeroGrad(module.parameters);
    undo();
  }
}

/** Frees all tensors in a value. */
export function dispose(value: unknown): void {
  const found = new Set<Tensor>();
  collectTensors(value, found);
  for (const t of found) t.dispose();
}

function live(): string {
  const { tensors, liveBytes } = memory();
  return `${tensors} tensors, ${liveBytes} bytes`;
}

/** All numbers of a module. */
function stateOf(module: Module): string {
  const parameters = [...namedParameters(module).values()].map((p) => [...p.data.dataSync()]);
  const buffers = [...namedBuffers(module).values()].map((b) =>
    'data' in b ? [...(b.data as Tensor).dataSync()] : (b as { value?: boolean }).value,
  );
  return JSON.stringify([parameters, buffers]);
}

/** Events that a call's trials may cost together, about. */
const BUDGET = 200;

/** From 1 to the count, one in each of so many equal parts. */
function chosen(count: number, least: number): number[] {
  const parts = Math.min(count, Math.max(least, Math.ceil(BUDGET / count)));
  const draws = new RandomStream(count).uniformArray(parts);
  return [...draws].map((u, i) => 1 + Math.floor(((i + u) * count) / parts));
}
