/**
 * Compiles assembly/ twice, with and without relaxed SIMD, and embeds both modules in
 * src/wasm/kernels.generated.ts, so that no file has to be located at run time: as hexadecimal digits,
 * which pages get in a fifth less bytes than base64, for compression finds what repeats. The modules for
 * memory that threads share differ in one byte, whose place is embedded as well. Does nothing when
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

async function compile(relaxed, shared) {
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
    ...(shared ? ['--enable', 'threads', '--sharedMemory'] : []),
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
  return Buffer.from(binary);
}

/** The module as digits, and where the byte is that says whether its memory is shared. */
async function build(relaxed) {
  const [own, shared] = [await compile(relaxed, false), await compile(relaxed, true)];
  const different = [...own.keys()].filter((i) => own[i] !== shared[i]);
  if (own.length !== shared.length || different.length !== 1 || shared[different[0]] !== 3) {
    throw new Error('expected builds that differ in the flags of the memory import alone.');
  }
  return { hex: own.toString('hex'), sharedFlagAt: different[0] };
}

if (!(await isFresh())) {
  const builds = Object.entries({ baseline: await build(false), relaxed: await build(true) });
  const lines = builds.map(
    ([name, { hex, sharedFlagAt }]) =>
      `export const ${name} = {\n  sharedFlagAt: ${sharedFlagAt},\n  hex: '${hex}',\n};`,
  );
  const text = `/** Written by scripts/compile-wasm.mjs from assembly/; not for editing. */
${lines.join('\n')}
`;
  await mkdir(dirname(target), { recursive: true });
  // Renamed into place: a test run beside a build never reads half a file.
  await writeFile(`${target}.${process.pid}`, text);
  await rename(`${target}.${process.pid}`, target);
  const sizes = builds.map(([name, { hex }]) => `${name} ${hex.length / 2}`);
  console.log(`wasm kernels, bytes: ${sizes.join(', ')}`);
}
