/**
 * Compiles assembly/ twice, with and without relaxed SIMD, and embeds both modules as base64 in
 * src/wasm/kernels.generated.ts, so that no file has to be located at run time. Does nothing when
 * the generated file is newer than all sources.
 */
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const target = join(root, 'src/wasm/kernels.generated.ts');

async function isFresh() {
  const made = await stat(target).catch(() => undefined);
  if (made === undefined) return false;
  const names = await readdir(join(root, 'assembly'));
  const sources = [
    fileURLToPath(import.meta.url),
    ...names.map((name) => join(root, 'assembly', name)),
  ];
  const times = await Promise.all(sources.map(async (path) => (await stat(path)).mtimeMs));
  return times.every((time) => time < made.mtimeMs);
}

async function compile(relaxed) {
  // Imported here, since the compiler takes a second to load and is seldom needed.
  const { main } = await import('assemblyscript/asc');
  let binary;
  const options = [
    'assembly/index.ts',
    '--outFile',
    'kernels.wasm',
    '-O3',
    '--noAssert',
    '--runtime',
    'stub',
    '--importMemory',
    '--maximumMemory',
    '65536',
    '--enable',
    'simd',
    ...(relaxed ? ['--enable', 'relaxed-simd'] : []),
    '--use',
    `RELAXED=${relaxed ? 1 : 0}`,
    '--use',
    'abort=',
  ];
  const { error, stderr } = await main(options, {
    readFile: (name, base) => readFile(join(root, base ?? '', name), 'utf8').catch(() => null),
    writeFile: (name, contents) => {
      if (name.endsWith('.wasm')) binary = contents;
    },
    listFiles: () => [],
  });
  if (error !== null || binary === undefined) {
    throw new Error(
      `AssemblyScript failed: ${error?.message ?? 'no output'}\n${stderr.toString()}`,
    );
  }
  return Buffer.from(binary).toString('base64');
}

if (!(await isFresh())) {
  const [baseline, relaxed] = [await compile(false), await compile(true)];
  const text = `/** Written by scripts/compile-wasm.mjs from assembly/; not for editing. */
export const baseline =
  '${baseline}';
export const relaxed =
  '${relaxed}';
`;
  await mkdir(dirname(target), { recursive: true });
  // Renamed into place: a test run beside a build never reads half a file.
  await writeFile(`${target}.${process.pid}`, text);
  await rename(`${target}.${process.pid}`, target);
  console.log(
    `wasm kernels: baseline ${baseline.length} and relaxed ${relaxed.length} base64 characters`,
  );
}
