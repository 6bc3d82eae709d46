/**
 * Writes what a suite printed into README.md, between the suite's markers: the numbers in documents
 * are those of a run.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describeMachine } from './figures.ts';

const readme = fileURLToPath(new URL('../../../README.md', import.meta.url));
const metrics = fileURLToPath(new URL('../../../out/glow-mnist/metrics.json', import.meta.url));

/**
 * Replaces the block of a suite in a document.
 *
 * @throws Error where the document has no such block.
 */
export async function writeTable(suite: string, table: string, document = readme): Promise<void> {
  const text = await readFile(document, 'utf8');
  const [begin, end] = [`<!-- bench:${suite} -->`, `<!-- /bench:${suite} -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`'${document}' has no block ${begin} … ${end}.`);
  const { cpu, cores, node } = describeMachine();
  const machine = `${cpu}, ${cores} cores, Node.js ${node.slice(1)}`;
  const block = `${begin}\n\`\`\`text\n${machine}\n\n${table}\n\`\`\`\n`;
  await writeFile(document, text.slice(0, from) + block + text.slice(to));
}

/** What the last `start` measured of the model that it trained, as a table would say it. */
export async function describeStart(path = metrics): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    throw new Error(`no metrics at '${path}'; run \`npx -y pnpm@12 start\` first.`);
  }
  const m = JSON.parse(text);
  const lines: [string, string][] = [
    ['test bits/dim', `${m.testBitsPerDim.toFixed(3)} on ${m.testImages} images`],
    ['first batch, bits/dim', m.firstBitsPerDim.toFixed(3)],
    ['largest relative inverse error', m.inverseError.toExponential(1)],
    ['training', `${Math.round(m.trainingSeconds)} s, ${Math.round(m.imagesPerSecond)} images/s`],
    ['threads', String(m.backendDetails.threads ?? 1)],
    ['peak memory', `${(m.peakBytes / 1e6).toFixed(1)} MB`],
    ['parameters', `${(m.parameterBytes / 1e6).toFixed(2)} MB`],
  ];
  return lines.map(([name, value]) => `${name.padEnd(32)}${value}`).join('\n');
}
