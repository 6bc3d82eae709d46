/** What computes in the worker: one backend at a time. */
import { backendInfo, setBackend } from '@invnet/tensor';
import type { BackendName } from './protocol.ts';

let used: BackendName | undefined;

/** The backend in use; none before the first. */
export function usedBackend(): BackendName | undefined {
  return used;
}

/** A fresh backend for all tensors from now on. @throws BackendError; the one before stays then. */
export async function useBackend(name: BackendName): Promise<void> {
  if (name === 'wasm') {
    await setBackend('wasm');
  } else {
    await import('@invnet/tensor/gpu');
    await setBackend('gpu', { mode: name });
  }
  used = name;
}

/** What computes, in words. */
export function adapter(): string {
  const { name, details } = backendInfo();
  return name === 'gpu' ? `${details.mode} on ${details.adapter}` : `wasm, ${details.simd}`;
}
