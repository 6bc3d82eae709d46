import { describe, expect, it } from 'vitest';
import { alone, mpirun } from './mpirun.ts';

describe('a communicator over MPI', () => {
  it.each([1, 2, 3])('adds, exchanges and gathers among %i ranks', async (ranks) => {
    const { code, stdout, stderr } = await mpirun({ ranks, program: 'calls' });
    expect(stderr).toBe('');
    expect(code).toBe(0);
    for (let r = 0; r < ranks; r++) expect(stdout).toContain(`rank ${r} of ${ranks} is done`);
  });

  it('is one process by itself without mpirun', async () => {
    const { code, stdout } = await alone('calls');
    expect(stdout).toContain('rank 0 of 1 is done');
    expect(code).toBe(0);
  });

  it.each([
    ['abort', 'rank 1 of 2: has had enough'],
    ['no close', 'rank 1 of 2: ended with exit code 0 before it called close()'],
  ])('ends all ranks with an error: %s', async (what, message) => {
    const { code, stderr } = await mpirun({ ranks: 2, program: 'calls', args: [what] });
    expect(stderr).toContain(message);
    expect(code).not.toBe(0);
  });

  it('says what to install when there is no library, and when it is not that of mpirun', async () => {
    const lost = await alone('open', ['/nowhere/libmpi.so']);
    expect(lost.stderr).toContain('no MPI library was found. Install one (Debian: apt-get install');
    expect(lost.code).toBe(1);
    const foreign = await alone('open', [], { OMPI_COMM_WORLD_SIZE: '2' });
    expect(foreign.stderr).toContain('mpirun started 2 processes, but');
    expect(foreign.code).not.toBe(0);
  });
});
