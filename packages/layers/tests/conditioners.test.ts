/** What conditioners expect; their derivatives are checked in @invnet/jvp. */
import { setBackend, ValueError } from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import { ResidualBlock } from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

describe('ResidualBlock', () => {
  it('says what it expected', () => {
    const sizes = { inChannels: 1, hidden: 2, outChannels: 1 };
    expect(() => new ResidualBlock({ ...sizes, kernel1: 2 })).toThrow(ValueError);
  });
});
