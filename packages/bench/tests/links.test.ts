/**
 * Links of all documents lead to a file of the repository, and to a heading in it. On npm a README stands
 * alone, so those of published packages link by the repository's address.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const listed = (pattern: string) =>
  execFileSync('git', ['ls-files', pattern], { cwd: root, encoding: 'utf8' }).trim().split('\n');

const { homepage } = JSON.parse(read('package.json')) as { homepage: string };
const repository = homepage.replace('#readme', '');
const manifests = listed('packages/*/package.json')
  .map((path) => ({ directory: dirname(path), manifest: JSON.parse(read(path)) }))
  .filter(({ manifest }) => !manifest.private);
const onNpm = new Set(manifests.map(({ directory }) => `${directory}/README.md`));

/** Where a link of a document leads: a path of the repository and a heading, or out of it. */
function follow(document: string, link: string): { path: string; heading?: string } | undefined {
  const [target = '', heading] = link.split('#');
  const at = heading === undefined ? {} : { heading };
  if (target.startsWith(repository)) {
    const path = target.slice(repository.length).replace(/^\/((blob|tree)\/main\/)?/, '');
    return { path: path || 'README.md', ...at };
  }
  if (/^[a-z]+:/.test(target)) return undefined;
  return { path: target ? posix.join(posix.dirname(document), target) : document, ...at };
}

/** The headings of a document as GitHub names them in addresses. */
function headings(path: string): string[] {
  const lines = withoutCode(read(path)).match(/^#+ .*$/gm) ?? [];
  return lines.map((line) =>
    line
      .replace(/^#+ /, '')
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

function withoutCode(text: string): string {
  return text.replace(/^```.*?^```/gms, '');
}

test('links of documents lead somewhere', () => {
  const broken: string[] = [];
  let count = 0;
  for (const document of listed('*.md')) {
    for (const [, link = ''] of withoutCode(read(document)).matchAll(/\]\(([^)\s]+)\)/g)) {
      const to = follow(document, link);
      if (!to) continue;
      count += 1;
      const reached =
        existsSync(join(root, to.path)) &&
        (to.heading === undefined || headings(to.path).includes(to.heading)) &&
        !(onNpm.has(document) && !link.startsWith(repository) && !link.startsWith('#'));
      if (!reached) broken.push(`${document}: ${link}`);
    }
  }
  expect(broken).toEqual([]);
  expect(count).toBeGreaterThan(100);
});

test('npm is told where each package comes from', () => {
  for (const { directory, manifest } of manifests) {
    expect(manifest, directory).toMatchObject({
      homepage: `${repository}/tree/main/${directory}#readme`,
      bugs: `${repository}/issues`,
      repository: { type: 'git', url: `git+${repository}.git`, directory },
    });
  }
});
