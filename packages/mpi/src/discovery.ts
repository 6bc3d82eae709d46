/** Whether this process is one of several, who started it, and where an MPI library may be. */
import { existsSync, readlinkSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

/** What launchers tell the processes that they start; those of one rank alone as well. */
const sizes = ['OMPI_COMM_WORLD_SIZE', 'PMI_SIZE', 'MPI_LOCALNRANKS'] as const;

/**
 * How many processes the launcher says that there are: none where nobody started several, and NaN where it does
 * not say.
 */
export function announcedSize(environment: NodeJS.ProcessEnv = process.env): number | undefined {
  const found = sizes.find((name) => environment[name] !== undefined);
  if (found) return Number(environment[found]);
  return environment.PMIX_RANK === undefined && environment.PMI_RANK === undefined
    ? undefined
    : Number.NaN;
}

/** Names of libraries, the standard interface first. */
const names = {
  linux: {
    openMpi: ['libmpi.so.40'],
    mpich: ['libmpi_abi.so.1', 'libmpi.so.12', 'libmpich.so.12'],
  },
  darwin: {
    openMpi: ['libmpi.40.dylib'],
    mpich: ['libmpi_abi.1.dylib', 'libmpi.12.dylib', 'libpmpi.12.dylib'],
  },
  win32: { openMpi: [], mpich: ['msmpi.dll', 'impi.dll'] },
} as const;

/** Where to look, in this order: beside the launcher, so that it is the library's own, then where the system looks. */
export function libraryCandidates(environment: NodeJS.ProcessEnv = process.env): string[] {
  const { platform } = process;
  const of = platform === 'darwin' || platform === 'win32' ? names[platform] : names.linux;
  const byOpenMpi = environment.OMPI_COMM_WORLD_SIZE !== undefined;
  const files = byOpenMpi ? [...of.openMpi, ...of.mpich] : [...of.mpich, ...of.openMpi];
  const beside = launcherFolders(environment)
    .flatMap((folder) => files.map((file) => join(dirname(folder), 'lib', file)))
    .filter((path) => existsSync(path));
  return [...new Set([...beside, ...files])];
}

/** Folders of the program that started this process, and of the `mpirun`s that a shell would find. */
function launcherFolders({ PATH = '' }: NodeJS.ProcessEnv): string[] {
  const onPath = PATH.split(delimiter).filter((folder) =>
    ['mpirun', 'mpiexec'].some((name) => existsSync(join(folder, name))),
  );
  try {
    return [dirname(readlinkSync(`/proc/${process.ppid}/exe`)), ...onPath];
  } catch {
    // No Linux, or a launcher of another user.
    return onPath;
  }
}
