/** The command `app`: starts an example by its name, or lists them. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const examples = fileURLToPath(new URL('../..', import.meta.url));

/** What the examples that are built on this kit say of themselves, by name. */
async function apps(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const name of (await readdir(examples)).sort()) {
    const text = await readFile(join(examples, name, 'package.json'), 'utf8').catch(() => '{}');
    const { description = '', dependencies = {} } = JSON.parse(text);
    if ('example-kit' in dependencies) found.set(name, description);
  }
  return found;
}

const known = await apps();
const name = process.argv[2];
if (name !== undefined && known.has(name)) {
  const main = join(examples, name, 'src/main.ts');
  // The example finds its own flags where it would if it were started directly.
  process.argv.splice(1, 2, main);
  await import(pathToFileURL(main).href);
} else {
  const width = 2 + Math.max(...[...known.keys()].map((key) => key.length));
  const list = [...known].map(([key, about]) => `  ${key.padEnd(width)}${about}`);
  console.log(
    `Usage: app <name> [flags]\n\n${list.join('\n')}\n\napp <name> --help lists its flags.`,
  );
  if (name !== undefined && name !== '--help') {
    console.error(`app: unknown example '${name}'.`);
    process.exitCode = 1;
  }
}
