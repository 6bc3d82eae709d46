/**
 * Installs the built packages as npm would, in a folder that has nothing else, checks their declarations,
 * and runs a program on them: on this Node.js, and on the oldest that `engines` allows. So what is
 * published is what was tested. The addon that was built here is installed as the package of its platform is.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import process from 'node:process';

/** Most bytes of all packages together, as installed, aside from addons, data and what is brought. */
const MOST_BYTES = 4_000_000;
/** What packages bring, where they bring anything: folders of `node_modules`. */
const brought = {
  // Observable Plot, a document for it, and PNGs.
  '@invnet/figures': [
    '@observablehq',
    'binary-search-bounds',
    'boolbase',
    'commander',
    'css-select',
    'css-what',
    'cssomnom',
    'delaunator',
    'dom-serializer',
    'domelementtype',
    'domhandler',
    'domutils',
    'entities',
    'fast-png',
    'fflate',
    'html-escaper',
    'htmlparser2',
    'iconv-lite',
    'internmap',
    'interval-tree-1d',
    'iobuffer',
    'isoformat',
    'linkedom',
    'nth-check',
    'robust-predicates',
    'rw',
    'safer-buffer',
    'uhyphen',
    'd3',
    ...[
      'array',
      'axis',
      'brush',
      'chord',
      'color',
      'contour',
      'delaunay',
      'dispatch',
      'drag',
      'dsv',
      'ease',
      'fetch',
      'force',
      'format',
      'geo',
      'hierarchy',
      'interpolate',
      'path',
      'polygon',
      'quadtree',
      'random',
      'scale',
      'scale-chromatic',
      'selection',
      'shape',
      'time',
      'time-format',
      'timer',
      'transition',
      'zoom',
    ].map((part) => `d3-${part}`),
  ],
  '@invnet/mpi': ['@koromix', 'koffi'],
  '@invnet/onnx': ['@bufbuild', 'onnx-buf'],
};
/** Packages of data are chosen one by one, so each is told apart. */
const isData = (name) => name.startsWith('@invnet/data-');
/** Their declarations are those of a host as well, a peer that is not installed here or Node.js. */
const hosted = ['@invnet/jax', '@invnet/tfjs', '@invnet/tfjs/layers', '@invnet/train/progress'];
/** The addon as it is built, and what says what it is. */
const addonFiles = ['invnet.node', 'invnet.node.json'];

const { engines } = JSON.parse(await readFile('package.json', 'utf8'));
const oldest = engines.node.match(/\d+\.\d+\.\d+/)[0];
const published = await publishedPackages();
const names = published.map(({ name }) => name);
const folder = await mkdtemp(join(tmpdir(), 'invnet-dist-'));
try {
  await install();
  await checkContents();
  await checkDeclarations();
  await copyFile('scripts/consumer.mjs', join(folder, 'consumer.mjs'));
  const here = consume(process.execPath, []);
  consume(process.execPath, ['--import', `data:text/javascript,(${withoutDispose})()`]);
  const old = consume('npx', ['-y', `node@${oldest}`]);
  if (old.node !== `v${oldest}`) throw new Error(`asked for Node.js ${oldest}, got ${old.node}`);
  // Without relaxed SIMD's fused instructions the last digits differ.
  if (!(Math.abs(old.loss - here.loss) < 1e-4 * Math.abs(here.loss))) {
    throw new Error(`a loss of ${old.loss} on Node.js ${oldest}, of ${here.loss} on ${here.node}`);
  }
} finally {
  await rm(folder, { recursive: true });
}

/** The manifests of all that is published, the same `engines` in each. */
async function publishedPackages() {
  const manifests = [];
  for (const directory of await readdir('packages')) {
    const manifest = JSON.parse(await readFile(`packages/${directory}/package.json`, 'utf8'));
    if (manifest.private) continue;
    if (manifest.engines?.node !== engines.node) {
      throw new Error(`${manifest.name}: engines.node is not '${engines.node}', the repository's`);
    }
    manifests.push(manifest);
  }
  return manifests;
}

async function install() {
  const here = `packages/native/platforms/${process.platform}-${process.arch}`;
  const built = existsSync('packages/native/build/invnet.node') ? addonFiles : [];
  const addon = built.length > 0 ? [`@invnet/native-${process.platform}-${process.arch}`] : [];
  const filters = [...names, ...addon].flatMap((name) => ['--filter', name]);
  for (const file of built) await copyFile(`packages/native/build/${file}`, `${here}/${file}`);
  try {
    run('npx', ['-y', 'pnpm@12', ...filters, 'pack', '--pack-destination', folder], process.cwd());
  } finally {
    // What is released is built for older systems as well.
    for (const file of built) await rm(`${here}/${file}`);
  }
  const tarballs = (await readdir(folder)).map((name) => `./${name}`);
  const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--no-package-lock'];
  run('npm', ['install', ...flags, ...tarballs], folder);
}

/**
 * The packages bring nothing but what is listed and are small, bundlers leave alone what Node.js is to find, and no page has to
 * allow code that is made from text (docs/pages.md).
 */
async function checkContents() {
  const modules = join(folder, 'node_modules');
  const known = ['@invnet', ...names.flatMap((name) => brought[name] ?? [])];
  const others = (await readdir(modules)).filter(
    (name) => !known.includes(name) && name[0] !== '.',
  );
  if (others.length > 0) throw new Error(`the packages bring ${others.join(', ')}`);
  let bytes = 0;
  const dataBytes = new Map(names.filter(isData).map((name) => [name, 0]));
  for (const entry of await readdir(join(modules, '@invnet'), {
    recursive: true,
    withFileTypes: true,
  })) {
    if (!entry.isFile()) continue;
    if (entry.name.endsWith('.node')) continue;
    const content = await readFile(join(entry.parentPath, entry.name));
    const data = names.find(
      (name) => isData(name) && entry.parentPath.includes(join(modules, name)),
    );
    if (data) dataBytes.set(data, dataBytes.get(data) + content.length);
    else bytes += content.length;
    const text = content.toString();
    if (!entry.name.endsWith('.js')) continue;
    if (/\bnew Function\(|(?<![\w.])eval\(/.test(text)) {
      throw new Error(`${entry.name} makes code from text`);
    }
    for (const [call, comments] of text.matchAll(/\bimport\(\s*((?:\/\*.*?\*\/\s*)*)[a-z_$]/gi)) {
      if (comments.includes('webpackIgnore: true') && comments.includes('@vite-ignore')) continue;
      throw new Error(`${entry.name}: '${call}…' is not marked for bundlers to leave alone`);
    }
  }
  if (bytes > MOST_BYTES) throw new Error(`the packages are ${bytes} bytes, over ${MOST_BYTES}`);
  const megabytes = (n) => `${(n / 1e6).toFixed(1)} MB`;
  const document = await readFile('docs/pages.md', 'utf8');
  const sizes = [...dataBytes].map(([name, n]) => `\`${name}\` is ${megabytes(n)}`);
  for (const said of [`all ${names.length - sizes.length} are ${megabytes(bytes)}`, ...sizes]) {
    if (!document.includes(said)) throw new Error(`docs/pages.md does not say that ${said}`);
  }
  console.log(`${names.length} packages installed, ${megabytes(bytes)}, aside from data`);
}

/** The declarations hold as they are, also where a program's `lib` is that of its target alone. */
async function checkDeclarations() {
  const modules = published
    .flatMap(({ name, exports }) => Object.keys(exports).map((path) => posix.join(name, path)))
    .filter((name) => !hosted.includes(name));
  const program = join(folder, 'program.ts');
  await writeFile(program, modules.map((name) => `import '${name}';\n`).join(''));
  const flags = ['--noEmit', '--strict', '--skipLibCheck', 'false', '--types', ''];
  run('npx', [
    '-y',
    'pnpm@12',
    'exec',
    'tsc',
    ...flags,
    '--ignoreConfig',
    '--target',
    'es2023',
    program,
  ]);
}

function consume(program, args) {
  const said = run(program, [...args, 'consumer.mjs'], folder);
  console.log(said.trim());
  return JSON.parse(said);
}

function run(program, args, cwd) {
  return execFileSync(program, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** Makes of Node.js an engine that has no `Symbol.dispose`, as not all browsers do. */
function withoutDispose() {
  const original = Symbol;
  const other = (description) => original(description);
  for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(original))) {
    if (!/dispose$/i.test(name)) Object.defineProperty(other, name, property);
  }
  globalThis.Symbol = other;
}
