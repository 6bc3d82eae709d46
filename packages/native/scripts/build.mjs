/**
 * Builds the addon: for this machine, where it has a C compiler, or with `--all` for all platforms, by zig, which
 * compiles for each of them (`pip install ziglang`). Where nothing has changed since, nothing is done.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { fingerprint } from '../../tensor/scripts/fingerprint.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const build = join(root, 'build');
const headers = dirname(createRequire(import.meta.url).resolve('node-api-headers/package.json'));

/** The platforms that are published, each a package of its own, as zig names them. */
const platforms = {
  'linux-x64': 'x86_64-linux-gnu.2.17',
  'linux-arm64': 'aarch64-linux-gnu.2.17',
  'darwin-x64': 'x86_64-macos.11.0',
  'darwin-arm64': 'aarch64-macos.11.0',
  'win32-x64': 'x86_64-windows-gnu',
  'win32-arm64': 'aarch64-windows-gnu',
};

/** Builds of the kernels for each kind of processor: vectors of so many floats, and what the compiler is told. */
const processors = {
  x64: {
    avx2: { lanes: 8, flags: ['-mavx2', '-mfma'] },
    avx512: {
      lanes: 16,
      flags: [
        '-mavx512f',
        '-mavx512vl',
        '-mavx512dq',
        '-mavx512bw',
        '-mfma',
        '-mprefer-vector-width=512',
      ],
    },
  },
  arm64: { neon: { lanes: 4, flags: [] } },
};

// Whole numbers wrap around, and no multiply-add is fused that is not so in the source.
const flags = [
  ...[
    '-std=gnu11',
    '-O3',
    '-fwrapv',
    '-fno-strict-aliasing',
    '-ffp-contract=off',
    '-fno-math-errno',
  ],
  ...['-fvisibility=hidden', '-Wall', '-Wno-unused-function', '-Wno-psabi'],
];

function works(command) {
  const [name, ...args] = command;
  return spawnSync(name, [...args, '--version'], { stdio: 'ignore' }).status === 0;
}

/** The kernels in C, for all that is compiled. */
async function writeKernels() {
  // Imported here, since the parser takes a while to load and is seldom needed.
  const { translate } = await import('./translate.mjs');
  await writeFile(join(build, 'kernels.c'), translate());
}

/** Compiles and links one addon, and writes down beside it what it is: @invnet/tensor opens no other. */
async function compile(compiler, platform, to, target = []) {
  const [system, processor] = platform.split('-');
  const shared = [...target, ...flags, ...(system === 'win32' ? [] : ['-fPIC'])];
  const include = ['-I', join(root, 'src/c'), '-I', join(headers, 'include')];
  const run = (args) => {
    const [name, ...first] = compiler;
    execFileSync(name, [...first, ...shared, ...args], { stdio: 'inherit' });
  };
  const objects = [];
  for (const [name, { lanes, flags: more }] of Object.entries(processors[processor])) {
    const object = join(build, `${platform}-${name}.o`);
    const defines = [`-DLANES=${lanes}`, `-DKERNELS=kernels_${name}`];
    run([...more, ...defines, ...include, '-c', join(build, 'kernels.c'), '-o', object]);
    objects.push(object);
  }
  const link = {
    linux: ['-shared', '-lm', '-s'],
    // Without the paths of the machine that builds it.
    darwin: [
      '-shared',
      '-undefined',
      'dynamic_lookup',
      '-s',
      '-Wl,-install_name,@rpath/invnet.node',
    ],
    win32: ['-shared', '-s', `-Wl,--out-implib,${join(build, 'invnet.lib')}`],
  };
  const imports = system === 'win32' ? [importLibrary(compiler, processor)] : [];
  run([join(root, 'src/c/addon.c'), ...include, ...objects, ...imports, ...link[system], '-o', to]);
  for (const object of objects) await rm(object);
  const sha256 = createHash('sha256')
    .update(await readFile(to))
    .digest('hex');
  const manifest = { fingerprint: await fingerprint(), sha256 };
  await writeFile(`${to}.json`, `${JSON.stringify(manifest)}\n`);
}

/** What Windows wants to know of the program that will open the addon. */
function importLibrary(zig, processor) {
  const library = join(build, `node-${processor}.lib`);
  const definitions = join(headers, 'def/node_api.def');
  const machine = processor === 'x64' ? 'i386:x86-64' : 'arm64';
  const [name, ...args] = zig.slice(0, -1);
  execFileSync(name, [...args, 'dlltool', '-m', machine, '-d', definitions, '-l', library]);
  return library;
}

/** All that a build depends on, and for which version of the kernels it is. */
async function stamp(compiler) {
  const hash = createHash('sha256').update(
    JSON.stringify([compiler, process.platform, process.arch]),
  );
  for (const folder of ['src/c', 'scripts']) {
    for (const name of (await readdir(join(root, folder))).sort()) {
      hash.update(await readFile(join(root, folder, name)));
    }
  }
  return `${await fingerprint()} ${hash.digest('hex')}`;
}

const zigs = [['zig'], ['python3', '-m', 'ziglang'], ['python', '-m', 'ziglang']].map((zig) => [
  ...zig,
  'cc',
]);
const all = process.argv.includes('--all');
const own = process.env.CC ? [process.env.CC.split(' ')] : [['cc'], ['gcc'], ['clang']];
const here = `${process.platform}-${process.arch}`;

/** The addon for this machine, by the first compiler that can; returns what there is to say of it. */
async function buildHere() {
  const addon = join(build, 'invnet.node');
  const made = await readFile(join(build, 'stamp'), 'utf8').catch(() => '');
  let reason = 'no C compiler was found (cc, gcc, clang or zig)';
  // Only zig makes a library of what Windows wants to know.
  for (const compiler of process.platform === 'win32' ? zigs : [...own, ...zigs]) {
    if (!works(compiler)) continue;
    const now = await stamp(compiler);
    if (made === now) return undefined;
    await writeKernels();
    try {
      await compile(compiler, here, addon);
      await writeFile(join(build, 'stamp'), now);
      return `built for ${here} by ${compiler.join(' ')}`;
    } catch (error) {
      if (process.env.CI) throw error;
      reason = error.message;
    }
  }
  // One that was built before would be found, and refused.
  for (const file of [addon, join(build, 'stamp')]) await rm(file, { force: true });
  return `left out, for ${reason}`;
}

await mkdir(build, { recursive: true });
if (all) {
  const compiler = zigs.find(works);
  if (!compiler)
    throw new Error('zig was not found, which compiles for all platforms: pip install ziglang');
  await writeKernels();
  for (const [platform, target] of Object.entries(platforms)) {
    const to = join(root, 'platforms', platform, 'invnet.node');
    await compile(compiler, platform, to, ['-target', target]);
    console.log(`native: ${platform}`);
  }
} else if (!(here in platforms)) {
  console.log(`native: left out, for there is no build for ${here}.`);
} else {
  const result = await buildHere();
  if (result) console.log(`native: ${result}`);
}
