/**
 * Compiles assembly/ into modules: that of index.ts, which every backend has, and those of wave.ts and spline.ts, which
 * pages load that use them. Each is compiled with and without relaxed SIMD, the first also for engines that pack two
 * vectors into one register, and embedded in src/wasm/*.generated.ts, so that no file has to be located at run time:
 * one build as text (src/wasm/byte-text.ts), the others as edits of it, which are far shorter. The modules for memory
 * that threads share differ in one byte, whose place is embedded as well. Does nothing when the generated files are
 * newer than all sources.
 */
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bytesOf, textOf } from '../src/wasm/byte-text.ts';
import { applyEdits } from '../src/wasm/edits.ts';
import { findEdits } from './find-edits.mjs';
import { fingerprint } from './fingerprint.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Each module's source in assembly/ and its file in src/wasm/. */
const modules = { index: 'kernels', wave: 'wave', spline: 'spline' };
const targets = Object.values(modules).map((name) => join(root, `src/wasm/${name}.generated.ts`));

async function isFresh() {
  const made = await Promise.all(targets.map((target) => stat(target).catch(() => undefined)));
  if (made.includes(undefined)) return false;
  const folders = ['assembly', 'scripts'].map((name) => join(root, name));
  const names = await Promise.all(folders.map((folder) => readdir(folder)));
  const sources = [
    ...['byte-text', 'edits'].map((name) => join(root, `src/wasm/${name}.ts`)),
    ...folders.flatMap((folder, i) => names[i].map((name) => join(folder, name))),
  ];
  const times = await Promise.all(sources.map(async (path) => (await stat(path)).mtimeMs));
  return times.every((time) => made.every(({ mtimeMs }) => time < mtimeMs));
}

async function compile(source, { relaxed, wide, shared }) {
  // Imported here, since the compiler takes a second to load and is seldom needed.
  const { main } = await import('assemblyscript/asc');
  let binary;
  const options = [
    `assembly/${source}.ts`,
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
    `WIDE=${wide ? 1 : 0}`,
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
async function build(source, how) {
  const [own, shared] = [
    await compile(source, { ...how, shared: false }),
    await compile(source, { ...how, shared: true }),
  ];
  const different = [...own.keys()].filter((i) => own[i] !== shared[i]);
  if (own.length !== shared.length || different.length !== 1 || shared[different[0]] !== 3) {
    throw new Error('expected builds that differ in the flags of the memory import alone.');
  }
  return { own, shared, sharedFlagAt: different[0] };
}

/** The edits that lead from one build to another, over either memory. */
function findChecked(from, to) {
  const edits = findEdits(from.own, to.own);
  for (const memory of ['own', 'shared']) {
    if (!to[memory].equals(applyEdits(from[memory], edits))) {
      throw new Error('the edits do not lead from the one build to the other.');
    }
  }
  return edits;
}

async function write(source, name) {
  const relaxed = await build(source, { relaxed: true, wide: false });
  const baseline = await build(source, { relaxed: false, wide: false });
  const baselineEdits = findChecked(relaxed, baseline);
  const asText = textOf(relaxed.own);
  if (!relaxed.own.equals(bytesOf(asText))) {
    throw new Error('the text does not stand for the bytes.');
  }
  const code = `/** Written by scripts/compile-wasm.mjs from assembly/; not for editing. */
export const text =
  '${asText}';
export const baselineEdits =
  '${baselineEdits}';
export const sharedFlagAt = ${relaxed.sharedFlagAt};
${name === 'kernels' ? await moreOfKernels(relaxed) : ''}`;
  const target = join(root, `src/wasm/${name}.generated.ts`);
  await mkdir(dirname(target), { recursive: true });
  // Renamed into place: a test run beside a build never reads half a file.
  await writeFile(`${target}.${process.pid}`, code);
  await rename(`${target}.${process.pid}`, target);
  console.log(
    `wasm ${name}, bytes: ${relaxed.own.length}; without relaxed SIMD, edits: ${baselineEdits.length}`,
  );
}

/** The build whose register tiles are for wide vectors, which other modules have none of, and the digest. */
async function moreOfKernels(relaxed) {
  const wideEdits = findChecked(relaxed, await build('index', { relaxed: true, wide: true }));
  console.log(`for wide vectors, edits: ${wideEdits.length}`);
  return `export const wideEdits =
  '${wideEdits}';
export const fingerprint = '${await fingerprint()}';
`;
}

if (!(await isFresh())) {
  for (const [source, name] of Object.entries(modules)) await write(source, name);
}
