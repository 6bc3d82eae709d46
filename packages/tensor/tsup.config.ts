import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import base from '../../tsup.config.base.ts';

export default {
  ...base,
  // `Disposable` for programs whose `lib` does not have it yet.
  dts: { banner: '/// <reference lib="esnext.disposable" />' },
  onSuccess: writeLicenses,
};

/** The licences of what src/gpu/gpujs.js makes a part of the build. */
async function writeLicenses() {
  const gpujs = createRequire(`${process.cwd()}/package.json`).resolve('gpu.js/package.json');
  const acorn = createRequire(gpujs).resolve('acorn/package.json');
  const texts = [gpujs, acorn].map(async (manifest) => {
    const { name, version } = JSON.parse(await readFile(manifest, 'utf8'));
    const license = await readFile(join(dirname(manifest), 'LICENSE'), 'utf8');
    return `${name} ${version}, of which parts are in this package:\n\n${license}`;
  });
  await writeFile('dist/third-party-licenses.txt', (await Promise.all(texts)).join('\n\n'));
}
