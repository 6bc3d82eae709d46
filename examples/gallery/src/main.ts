/** The command `example`: runs a program of the gallery by its name, or lists them. */
import { readdir } from 'node:fs/promises';
import process from 'node:process';

const folders = ['layers', 'networks', 'flows', 'jacobian', 'utils'];
const names = (
  await Promise.all(
    folders.map(async (folder) => {
      const files = await readdir(new URL(folder, import.meta.url));
      return files.map((file) => `${folder}/${file.replace('.ts', '')}`);
    }),
  )
).flat();

const [name] = process.argv.slice(2);
if (name !== undefined && names.includes(name)) await import(`./${name}.ts`);
else {
  console.log(`Usage: example <name>\n\n${names.map((n) => `  ${n}`).join('\n')}`);
  if (name !== undefined && name !== '--help') {
    console.error(`example: unknown example '${name}'.`);
    process.exitCode = 1;
  }
}
