/** Programs of these tests, started by `mpirun` as users start theirs. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** How a run ended. */
export interface Ended {
  /** 0 when all ranks succeeded. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
}

/** What one is started by. */
export interface Launch {
  readonly ranks: number;
  /** Of `programs`, without its ending. */
  readonly program: string;
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Called with all that was printed so far, whenever more is. */
  readonly onOutput?: (stdout: string) => void;
}

/** Runs a program under the `mpirun` that a shell would find. */
export function mpirun({
  ranks,
  program,
  args = [],
  environment = {},
  onOutput,
}: Launch): Promise<Ended> {
  const file = fileURLToPath(new URL(`./programs/${program}.ts`, import.meta.url));
  return run(
    process.env.INVNET_TEST_MPIRUN ?? 'mpirun',
    ['-n', String(ranks), process.execPath, file, ...args],
    { ...asRoot, ...environment },
    onOutput,
  );
}

/** The same program as a process by itself. */
export function alone(
  program: string,
  args: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const file = fileURLToPath(new URL(`./programs/${program}.ts`, import.meta.url));
  return run(process.execPath, [file, ...args], { ...asRoot, ...environment });
}

/** Containers run as root, on fewer cores than there are ranks; Open MPI wants to be told, 4 and 5 in two ways. */
const asRoot = {
  OMPI_ALLOW_RUN_AS_ROOT: '1',
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
  PRTE_ALLOW_RUN_AS_ROOT: '1',
  PRTE_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
  OMPI_MCA_rmaps_base_oversubscribe: '1',
  PRTE_MCA_rmaps_default_mapping_policy: ':oversubscribe',
};

function run(
  command: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  onOutput?: (stdout: string) => void,
): Promise<Ended> {
  const started = performance.now();
  const child = spawn(command, args, { env: { ...process.env, NO_COLOR: '1', ...environment } });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
    onOutput?.(stdout);
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      resolve({ code, stdout, stderr, seconds: (performance.now() - started) / 1000 });
    });
  });
}
