/**
 * Compiles assembly/ twice, with and without relaxed SIMD, and embeds both in
 * src/wasm/kernels.generated.ts, so that no file has to be located at run time: the first as hexadecimal
 * digits, which pages get in a fifth less bytes than base64, for compression finds what repeats; the
 * second as edits of the first, which are a twentieth of it. The modules for memory that threads share
 * differ in one byte, whose place is embedded as well. Does nothing when the generated file is newer than
 * all sources.
 */
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { applyEdits } from '../src/wasm/edits.ts';
import { findEdits } from './find-edits.mjs';
import { fingerprint } from './fingerprint.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const target = join(root, 'src/wasm/kernels.generated.ts');

async function isFresh() {
  const made = await stat(target).catch(() => undefined);
  if (made === undefined) return false;
  const folders = ['assembly', 'scripts'].map((name) => join(root, name));
  const names = await Promise.all(folders.map((folder) => readdir(folder)));
  const sources = [
    join(root, 'src/wasm/edits.ts'),
    ...folders.flatMap((folder, i) => names[i].map((name) => join(folder, name))),
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

/** The module, and where the byte is that says whether its memory is shared. */
async function build(relaxed) {
  const [own, shared] = [await compile(relaxed, false), await compile(relaxed, true)];
  const different = [...own.keys()].filter((i) => own[i] !== shared[i]);
  if (own.length !== shared.length || different.length !== 1 || shared[different[0]] !== 3) {
    throw new Error('expected builds that differ in the flags of the memory import alone.');
  }
  return { bytes: own, sharedFlagAt: different[0] };
}

if (!(await isFresh())) {
  const [relaxed, baseline] = [await build(true), await build(false)];
  const edits = findEdits(relaxed.bytes, baseline.bytes);
  if (!baseline.bytes.equals(applyEdits(relaxed.bytes, edits))) {
    throw new Error('the edits do not lead from the one build to the other.');
  }
  if (relaxed.sharedFlagAt !== baseline.sharedFlagAt) {
    throw new Error('expected the memory import at the same place in both builds.');
  }
  const text = `/** Written by scripts/compile-wasm.mjs from assembly/; not for editing. */
export const hex =
  '${relaxed.bytes.toString('hex')}';
export const baselineEdits =
  '${edits}';
export const sharedFlagAt = ${relaxed.sharedFlagAt};
export const fingerprint = '${await fingerprint()}';
`;
  await mkdir(dirname(target), { recursive: true });
  // Renamed into place: a test run beside a build never reads half a file.
  await writeFile(`${target}.${process.pid}`, text);
  await rename(`${target}.${process.pid}`, target);
  const { bytes } = relaxed;
  console.log(`wasm kernels, bytes: ${bytes.length}; without relaxed SIMD, edits: ${edits.length}`);
}
