/** What is wrong with data is one clear error, or one warning, before anything is trained. */
import { arrayRows, type RowSource, type Rows } from '@invnet/datasets';
import { Flow } from '@invnet/flows';
import { ActNorm } from '@invnet/layers';
import { memory, setBackend } from '@invnet/tensor';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { type FitData, type FitOptions, type FitWarning, fit } from '../../src/index.ts';
import { conditionalFlow, conditionalRows, smallFlow } from './problems.ts';

beforeAll(() => setBackend('wasm'));

const table = (rows: number, columns: number, cell: (row: number, column: number) => number) => ({
  shape: [rows, columns],
  data: Float64Array.from({ length: rows * columns }, (_, i) =>
    cell(Math.floor(i / columns), i % columns),
  ),
});
const wavy = (row: number, column: number) => Math.sin(row * (column + 1.3));
const plain = table(30, 2, wavy);
const hole = (row: number, column: number, value: number): Rows => ({
  x: table(30, 2, (r, c) => (r === row && c === column ? value : wavy(r, c))),
});
const source = (rows: Rows): RowSource => arrayRows(rows);
/** As a reader that leaves it to others to look at its numbers. */
const unchecked = ({ x }: Rows): RowSource => ({
  count: x.shape[0]!,
  shapes: { x: x.shape.slice(1) },
  async *batches() {
    yield { x };
  },
});

describe('fit refuses', () => {
  const cases: [string, FitData, FitOptions, RegExp][] = [
    [
      'a constant column',
      { x: table(30, 2, (r, c) => (c ? 7 : r)) },
      {},
      /column 1 of x is 7 in all 27 rows.*no density.*Leave/,
    ],
    [
      'a column that varies by less than floats can tell',
      { x: table(30, 2, (r, c) => (c ? r * 1e-45 : r)) },
      {},
      /column 1 of x varies by \d\.\d+e-45/,
    ],
    ['NaN', hole(11, 1, Number.NaN), {}, /x is NaN in row 11, column 1.*missing: 'drop'/],
    ['infinity', hole(3, 0, Number.NEGATIVE_INFINITY), {}, /x is -Infinity in row 3, column 0/],
    [
      'NaN in a source',
      { training: unchecked(hole(11, 1, Number.NaN)) },
      {},
      /x is NaN in row 11, column 1/,
    ],
    [
      'NaN everywhere',
      { x: table(3, 2, () => Number.NaN) },
      { missing: 'drop' },
      /all 3 rows have numbers that are NaN/,
    ],
    [
      'numbers that float32 does not hold',
      { x: table(30, 2, (r, c) => (c ? 1e44 * (2 + wavy(r, c)) : wavy(r, c))) },
      {},
      /column 1 of x has numbers as large as 2\.\d+e\+44/,
    ],
    ['one row', { x: table(1, 2, wavy) }, {}, /there is 1 row to train on; expected at least 2/],
    ['one row without validation', { x: table(1, 2, wavy) }, { validation: 0 }, /there is 1 row/],
    ['other columns', { x: table(30, 3, wavy) }, {}, /got \[1, 3\]/],
    ['single numbers', { x: { shape: [4], data: Float32Array.of(1, 2, 3, 4) } }, {}, /got \[1\]/],
    ['a context that nothing takes', { x: plain, context: plain }, {}, /the flow takes none/],
    [
      'weights below 0',
      { x: plain, weights: { shape: [30], data: new Float64Array(30).fill(-1) } },
      {},
      /weight of row 0 is -1/,
    ],
    [
      'weights of 0',
      { x: plain, weights: { shape: [30], data: new Float64Array(30) } },
      {},
      /all weights are 0/,
    ],
    [
      'a fraction beside sources',
      { training: source({ x: plain }) },
      { validation: 0.5 },
      /the data are sources/,
    ],
    [
      'sources of other shapes',
      { training: source({ x: plain }), validation: source({ x: table(4, 3, wavy) }) },
      {},
      /\[2\] to train on and \[3\] for validation/,
    ],
    [
      'validation rows of no weight',
      {
        training: source({ x: plain }),
        validation: source({
          x: table(2, 2, wavy),
          weights: { shape: [2], data: new Float64Array(2) },
        }),
      },
      { epochs: 1 },
      /weight of 0/,
    ],
    [
      'integers',
      { x: { shape: [2, 2], data: Int32Array.of(1, 2, 3, 4) } } as never,
      {},
      /expected a Float32Array/,
    ],
    ['what is no data', [1, 2] as never, {}, /expected rows \{ x, context, weights \}/],
    ['a misspelt option', { x: plain }, { epoch: 3 } as never, /no option 'epoch'/],
    ['a rate that is no schedule', { x: plain }, { schedule: 1e-3 as never }, /constant\(1e-3\)/],
    [
      'a pattern that matches nothing',
      { x: plain },
      { freeze: 'nowhere' },
      /no parameter matches 'nowhere'/,
    ],
  ];

  it.each(cases)('%s', async (_, data, options, message) => {
    const flow = smallFlow();
    const { liveBytes } = memory();
    const failing = async () => fit(flow, data, { epochs: 1, ...options }).result();
    await expect(failing()).rejects.toThrow(message);
    expect(memory().liveBytes).toBe(liveBytes);
    expect(flow.parameters.every((p) => !p.frozen)).toBe(true);
  });

  it('rows without the context that a flow takes', async () => {
    const { x } = conditionalRows(20);
    await expect(fit(conditionalFlow(), { x }).result()).rejects.toThrow(
      /expected \{ x, context \}/,
    );
  });
});

describe('fit warns', () => {
  const warned = async (data: FitData, options: FitOptions = {}) => {
    const heard: FitWarning[] = [];
    const onWarning = (warning: FitWarning) => heard.push(warning);
    const flow = 'x' in data && data.context ? conditionalFlow() : smallFlow();
    const { warnings } = await fit(flow, data, { epochs: 1, onWarning, ...options }).result();
    expect(heard).toEqual(warnings);
    return warnings.map(({ kind, message }) => `${kind}: ${message}`);
  };

  it('of columns that are equal, of a context that says nothing, and of no validation', async () => {
    const equal = { x: table(30, 2, (r) => wavy(r, 0)) };
    expect(await warned(equal)).toEqual([
      expect.stringMatching(
        /^duplicated-columns: columns 0 and 1 of x are equal in all 27 rows: .*leave one out/,
      ),
    ]);
    const context = table(30, 2, (r, c) => (c ? 4 : r));
    expect(await warned({ x: plain, context })).toEqual([
      expect.stringMatching(/^constant-column: column 1 of the context is 4 in all 27 rows/),
    ]);
    expect(await warned({ x: plain }, { validation: 0 })).toEqual([
      expect.stringMatching(/^no-validation/),
    ]);
  });

  it('of columns that float32 has but a few digits of, in x and in contexts', async () => {
    const days = table(30, 2, (r, c) => (c ? 2459000.5 + 0.1 * wavy(r, c) : wavy(r, c)));
    const [ofX] = await warned({ x: days });
    expect(ofX).toMatch(
      /^coarse-column: column 1 of x is 2459000\.\d+ on average and varies by 0\.0/,
    );
    const [ofContext] = await warned({ x: plain, context: days });
    expect(ofContext).toMatch(/^coarse-column: column 1 of context is 2459000/);
    const years = table(30, 2, (r, c) => (c ? 1e7 : -2000) + 200 * wavy(r, c));
    expect(await warned({ x: years })).toEqual([]);
  });

  it('of more columns than rows, and of rows that were left out', async () => {
    const wide = new Flow({ network: new ActNorm({ channels: 5 }) });
    const { warnings } = await fit(wide, { x: table(4, 5, wavy) }, { epochs: 1 }).result();
    expect(warnings).toEqual([
      { kind: 'few-rows', message: expect.stringMatching(/^x has 5 columns and 3 rows/) },
    ]);
    const rows = hole(11, 1, Number.NaN);
    expect(await warned(rows, { missing: 'drop' })).toEqual([
      'dropped-rows: 1 of 30 rows were left out: they have NaN or infinite numbers.',
    ]);
    expect(await warned({ training: unchecked(rows) }, { missing: 'drop' })).toEqual([
      expect.stringMatching(/^no-validation/),
      expect.stringMatching(/^dropped-rows: 1 of 30 rows to train on/),
    ]);
  });

  it('of none of these where columns differ by a single number, whatever they are', async () => {
    const number = fc.integer({ min: -1e6, max: 1e6 });
    const rows = fc.array(number, { minLength: 3, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(rows, fc.nat(), async (values, at) => {
        fc.pre(new Set(values).size > 1);
        const other = values.with(at % values.length, values[at % values.length]! + 1);
        fc.pre(new Set(other).size > 1);
        const x = table(values.length, 2, (r, c) => [values, other][c]![r]!);
        const kinds = (await warned({ x }, { validation: 0, report: 1, batchSize: 64 })).join();
        expect(kinds).not.toMatch(/duplicated|constant/);
      }),
      { numRuns: 15, seed: 3 },
    );
  });
});
