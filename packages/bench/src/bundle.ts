/**
 * How much a page downloads that trains: pages beside this file, bundled by Vite as it does by itself
 * and compressed by gzip as servers do by themselves. Sizes do not depend on the machine.
 *
 * Bundled are the packages' sources, of which their published builds are made. Counted is all that
 * Vite writes but the HTML, also what a page would load later; nothing is run.
 */
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { Rolldown } from 'vite';
import type { Figure } from './figures.ts';
import { formatTable } from './table.ts';

/** A page that is weighed. */
export interface Page {
  readonly name: string;
  /** Its HTML file, in `src/bundle`. */
  readonly html: string;
  /** Most bytes, compressed, that it may load. */
  readonly limit: number;
}

/** A file of a built page, in bytes. */
export interface BundleFile {
  readonly file: string;
  readonly minified: number;
  readonly gzip: number;
}

/** A built page: the sums of its files, in bytes, and the files. */
export interface BundleRow {
  readonly page: string;
  readonly minified: number;
  readonly gzip: number;
  readonly limit: number;
  readonly files: readonly BundleFile[];
}

/** What `bench bundle` measured. */
export interface BundleReport {
  readonly suite: 'bundle';
  readonly vite: string;
  readonly results: readonly BundleRow[];
  readonly figures: readonly Figure[];
}

const defaultPages: readonly Page[] = [
  { name: 'trains a flow on vectors', html: 'page.html', limit: 70_000 },
  { name: 'opens the file of a Glow', html: 'load.html', limit: 70_000 },
];

/** Bundles each page, and weighs it. */
export async function measureBundle(
  options: { pages?: readonly Page[] } = {},
): Promise<BundleReport> {
  const { pages = defaultPages } = options;
  // Loaded here, because the other suites do without it.
  const { version } = await import('vite');
  const results: BundleRow[] = [];
  for (const { name, html, limit } of pages) {
    const files = (await buildPage(html)).filter(({ fileName }) => !fileName.endsWith('.html'));
    const weighed = files.map(weigh).sort((a, b) => b.gzip - a.gzip);
    const minified = weighed.reduce((sum, f) => sum + f.minified, 0);
    const gzip = weighed.reduce((sum, f) => sum + f.gzip, 0);
    results.push({ page: name, minified, gzip, limit, files: weighed });
  }
  const figures = results.map(({ page, gzip }): Figure => {
    const value = gzip / 1000;
    return { name: page, unit: 'KB', value, low: value, high: value };
  });
  return { suite: 'bundle', vite: version, results, figures };
}

/** The report as a table. */
export function describeBundle({ vite, results }: BundleReport): string {
  const rows = results.flatMap((r) => [
    [r.page, ...[r.minified, r.gzip, r.limit, r.limit - r.gzip].map(kilobytes)],
    ...r.files.map((f) => [`  ${f.file}`, kilobytes(f.minified), kilobytes(f.gzip), '', '']),
  ]);
  return [
    `What a page downloads beside its HTML, bundled by Vite ${vite}; KB of 1000 bytes.`,
    '',
    formatTable(['page', 'minified', 'gzip', 'limit', 'left'], rows),
  ].join('\n');
}

type OutputFile = Rolldown.OutputChunk | Rolldown.OutputAsset;

/** The files of a page, as Vite builds them. */
export async function buildPage(html: string): Promise<readonly OutputFile[]> {
  const { build } = await import('vite');
  const root = fileURLToPath(new URL('./bundle/', import.meta.url));
  const built = await build({
    root,
    configFile: false,
    envDir: false,
    publicDir: false,
    logLevel: 'error',
    build: {
      write: false,
      rolldownOptions: {
        input: root + html,
        // Without hashes, so that tables of two runs can be compared.
        output: { entryFileNames: '[name].js', chunkFileNames: '[name].js' },
      },
    },
  });
  const [output] = [built].flat();
  if (!(output && 'output' in output)) throw new Error(`Vite has built nothing of '${html}'.`);
  return output.output;
}

function weigh(file: OutputFile): BundleFile {
  const bytes = Buffer.from(file.type === 'chunk' ? file.code : file.source);
  return { file: file.fileName, minified: bytes.length, gzip: gzipSync(bytes).length };
}

function kilobytes(bytes: number): string {
  return (bytes / 1000).toFixed(1);
}
