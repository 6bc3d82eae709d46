/** Every row of the table as a whole model: saved here, loaded in a process that knows nothing of it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { flowCatalogue } from '@invnet/flows';
import { build, describe as describeModule, initialize, type Json, summary } from '@invnet/layers';
import { RandomStream, setBackend } from '@invnet/tensor';
import { readSafetensors, saveModel, writeSafetensors } from '@invnet/train';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { operators } from './operators.ts';
import { computedBy } from './row-results.ts';
import { contextOf, inputOf, rows, scatterParameters } from './rows.ts';

const folder = mkdtempSync(join(tmpdir(), 'rows-'));
const fileOf = (i: number, kind: string) => join(folder, `${i}.${kind}`);
const expected: Awaited<ReturnType<typeof computedBy>>[] = [];

beforeAll(async () => {
  await setBackend('wasm');
  for (const [i, row] of rows.entries()) {
    const f = row.make();
    const [x, context] = [inputOf(row), contextOf(row)];
    await initialize(f, x, { context });
    scatterParameters(f);
    const dy = new RandomStream(9).normal(row.shape);
    expected.push(await computedBy(f, { x, dy, context }));
    await saveModel(fileOf(i, 'model'), f);
    const given = Object.entries({ x, dy, context }).flatMap(([name, t]) =>
      t ? [{ name, t }] : [],
    );
    const tensors = new Map(
      await Promise.all(
        given.map(async ({ name, t }) => [name, { shape: t.shape, data: await t.data() }] as const),
      ),
    );
    writeFileSync(fileOf(i, 'inputs'), writeSafetensors({ tensors, metadata: {} }));
    f.dispose();
  }
  const program = fileURLToPath(new URL('load-rows.ts', import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [program, folder], { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe.each(rows.map((row, i) => ({ ...row, i })))('$name', ({ i, make }) => {
  it('computes the same bits in another process', () => {
    const { tensors } = readSafetensors(readFileSync(fileOf(i, 'results')));
    expect([...tensors.keys()]).toEqual([...expected[i]!.keys()]);
    for (const [name, { data }] of expected[i]!) {
      expect(bitsOf(tensors.get(name)!.data), name).toEqual(bitsOf(data));
    }
  });

  it('has a configuration of plain JSON, and is built from it again', () => {
    const f = make();
    const config = describeModule(f);
    const text = JSON.stringify(config);
    const parsed: Json = JSON.parse(text);
    expect(parsed).toEqual(config);
    const again = () => build(parsed, { modules: flowCatalogue, named: operators });
    const [first, second] = [again(), again()];
    expect(summary(first)).toBe(summary(f));
    expect(summary(second)).toBe(summary(f));
    expect(JSON.stringify(describeModule(second))).toBe(text);
    for (const m of [f, first, second]) m.dispose();
  });
});

/** The bits of numbers: equal ones differ in nothing, not even in the sign of a zero. */
function bitsOf(numbers: ArrayLike<number>): Uint32Array {
  return new Uint32Array(Float32Array.from(numbers).buffer);
}
