/** Opens the communicator of this process's run. */
import { formatValue, requireOptions, ValueError } from '@invnet/tensor';
import { type Communicator, CommunicatorError, requireSame, SingleProcess } from '@invnet/train';
import about from '../package.json' with { type: 'json' };
import { MpiCommunicator } from './communicator.ts';
import { announcedSize, libraryCandidates } from './discovery.ts';
import { MpiLibrary } from './library.ts';

/** Where MPI is. */
export interface MpiOptions {
  /** Path or name of the library. Default: the one beside `mpirun`, or where the system looks for libraries. */
  readonly library?: string;
}

let opened: Communicator | undefined;

/**
 * The ranks that `mpirun` has started. A process that nobody started among others is rank 0 of 1, for which no MPI is
 * needed, so a program runs alone as well. A second call gives the same communicator.
 *
 * From then on a process that ends before `close()` ends all others with it, and says its rank.
 *
 * @throws CommunicatorError when there is no MPI library, it is not that of the `mpirun` which started this process, or
 * versions differ among the ranks.
 * @example
 * const communicator = openMpi(); // mpirun -n 4 node train.js
 * for await (const { loss } of train({ …, communicator })) { … }
 * communicator.close();
 */
export function openMpi(options: MpiOptions = {}): Communicator {
  requireOptions('openMpi', options, ['library']);
  const { library } = options;
  if (library !== undefined && typeof library !== 'string') {
    throw new ValueError(
      `openMpi: library is ${formatValue(library)}; expected the path or the name of a file.`,
    );
  }
  opened ??= open(library);
  return opened;
}

function open(library: string | undefined): Communicator {
  const announced = announcedSize();
  if (announced === undefined && library === undefined) return new SingleProcess();
  const mpi = firstOf(library === undefined ? libraryCandidates() : [library]);
  const communicator = new MpiCommunicator(mpi);
  if (communicator.size === 1 && announced !== undefined && announced > 1) {
    communicator.abort(
      `mpirun started ${announced} processes, but for ${communicator.library} this is one by itself. Use the ` +
        'mpirun that belongs to this library, or name the library that belongs to that mpirun.',
    );
  }
  // Other versions may compute other bits, or talk otherwise.
  const versions = { node: process.version, '@invnet/mpi': about.version, mpi: mpi.version };
  requireSame(communicator, 'What runs', versions);
  return communicator;
}

function firstOf(candidates: readonly string[]): MpiLibrary {
  const problems: string[] = [];
  for (const path of candidates) {
    try {
      return new MpiLibrary(path);
    } catch (error) {
      if (!(error instanceof CommunicatorError)) throw error;
      problems.push(error.message);
    }
  }
  throw new CommunicatorError(
    'openMpi: no MPI library was found. Install one (Debian: apt-get install openmpi-bin; macOS: brew install ' +
      `open-mpi; anywhere: pip install mpich), or name it: openMpi({ library: '/path/libmpi.so' }). ${problems.join(' ')}`,
  );
}
