import {
  bars,
  confusion,
  corner,
  curves,
  ecdf,
  type Figure,
  grid,
  histogram,
} from '@invnet/figures';
import { ShapeError, ValueError } from '@invnet/tensor';
import { expect, test } from 'vitest';
import { darkPixels } from './pixels.ts';

type Point = [x: number, y: number];

/** The points of the paths of one colour, in the order in which they are drawn. */
function paths(figure: Figure, attribute: string): Point[][] {
  const groups = figure.svg.matchAll(
    new RegExp(`<(?:g|path)[^>]*${attribute}[^>]*>.*?(?:</g>|/>)`, 'g'),
  );
  return [...groups].flatMap(([group]) =>
    [...group.matchAll(/ d="([^"]*)"/g)].map(([, d]) =>
      [...d!.matchAll(/(-?[\d.]+),(-?[\d.]+)/g)].map(([, x, y]): [number, number] => [
        Number(x),
        Number(y),
      ]),
    ),
  );
}

const blue = 'stroke="#0072b2"';

test('curves go through their points, on linear and logarithmic axes', () => {
  const range = { x: { range: [0, 4] as const }, y: { range: [0, 10] as const } };
  const series = [{ x: [0, 1, 2, 3, 4], y: [10, 5, Number.NaN, 2, 0] }];
  const [points] = paths(curves({ series, ...range }), blue);
  const [xs, ys] = [points!.map(([x]) => x), points!.map(([, y]) => y)];
  expect(points).toHaveLength(4);
  expect(xs[1]! - xs[0]!).toBeCloseTo((xs[3]! - xs[0]!) / 4, 1);
  expect(ys[1]! - ys[0]!).toBeCloseTo((ys[3]! - ys[0]!) / 2, 1);

  const decades = curves({
    series: [{ x: [1, 10, 100], y: [1e-3, 1e-1, 10] }],
    x: { scale: 'log' },
    y: { scale: 'log', range: [1e-3, 10] },
  });
  const [logs] = paths(decades, blue);
  expect(logs![1]![0] - logs![0]![0]).toBeCloseTo(logs![2]![0] - logs![1]![0], 1);
  expect(logs![1]![1] - logs![0]![1]).toBeCloseTo(logs![2]![1] - logs![1]![1], 1);
  for (const tick of ['1', '10', '100', '0.001']) expect(decades.svg).toContain(`>${tick}</text>`);
  // A single value has decades around it, not a half on either side.
  for (const y of [[0.4], [Number.NaN]]) {
    expect(curves({ series: [{ y }], y: { scale: 'log' } }).svg).not.toContain('NaN');
  }
  // There is no place for 0, which a band, a reference or a step may have.
  const touching = curves({
    series: [{ x: [0, 1, 10], y: [3, 1, 2], band: { low: [2, 0, 1], high: [4, 2, 3] } }],
    references: [{ y: 0 }],
    x: { scale: 'log' },
    y: { scale: 'log' },
  });
  expect(touching.svg).not.toMatch(/NaN|Infinity/);
  const part = curves({ series: [{ y: [0.31, 0.38] }], y: { scale: 'log' } });
  for (const tick of ['0.32', '0.34', '0.36']) expect(part.svg).toContain(`>${tick}</text>`);
});

test.each([[[8]], [[8, 8, 8]], [[9, 5, 4, 3]], [[Number.NaN]]])(
  'a chart of %j has finite coordinates',
  (y) => {
    const { svg } = curves({ series: [{ y, smooth: 30 }], clip: 0.98, references: [{ y: 3.5 }] });
    expect(svg).not.toMatch(/NaN|Infinity|undefined|null/);
  },
);

test('smoothing takes noise away and moves nothing along', () => {
  const y = Array.from({ length: 101 }, (_, i) => i + (i % 2 === 0 ? 20 : -20));
  const [raw, smooth] = paths(curves({ series: [{ y, smooth: 21 }] }), blue);
  // Over neighbours the noise cancels, which leaves the line.
  for (const i of [20, 50, 80]) {
    const [before, here, after] = [raw![i - 1]![1], raw![i]![1], raw![i + 1]![1]];
    const line = (before + 2 * here + after) / 4;
    expect(Math.abs(smooth![i]![1] - line)).toBeLessThan(3);
    expect(Math.abs(here - line)).toBeGreaterThan(15);
  }
});

test('the height covers what the clip leaves, bands, and labelled references', () => {
  const losses = [1000, ...Array.from({ length: 99 }, (_, i) => 3 - i / 99)];
  const figure = curves({
    title: 'training loss',
    series: [{ name: 'training', y: losses, band: { low: losses.map(() => 1), high: losses } }],
    references: [{ y: 2.5, label: 'test 2.500' }, { diagonal: true, label: 'exact' }, { x: 50 }],
  });
  for (const name of ['training loss', 'training', 'test 2.500', 'exact']) {
    expect(figure.svg).toContain(`>${name}</text>`);
  }
  const clipped = curves({ series: [{ y: losses }], clip: 0.98 });
  expect(clipped.svg).not.toContain('>1,000</text>');
  expect(clipped.svg).toContain('>2.0</text>');
});

test('differences of ECDFs lie over the band of uniform ranks', () => {
  const at = [0.25, 0.5, 0.75];
  const band = { at, lower: [-0.1, -0.2, -0.1], upper: [0.1, 0.2, 0.1], probability: 0.951 };
  const figure = ecdf({ differences: [[0.05, -0.4, 0]], band });
  const [area] = paths(figure, 'fill="#666666"');
  const [[, first], [, second], [, third]] = paths(figure, blue)[0]! as [Point, Point, Point];
  const unit = (second - third) / 0.4;
  expect(first).toBeCloseTo(third - 0.05 * unit, 0);
  expect(Math.max(...area!.map(([, y]) => y))).toBeCloseTo(third + 0.2 * unit, 0);
  expect(Math.min(...area!.map(([, y]) => y))).toBeCloseTo(third - 0.2 * unit, 0);
  expect(figure.svg).toContain('uniform: 95 % stay in the band');
  const named = ecdf({
    differences: [
      [0, 0, 0],
      [0, 0, 0],
    ],
    names: ['mass', 'spin'],
    band,
  });
  expect(named.svg).toContain('>spin</text>');
  expect(() => ecdf({ differences: [[0, 0, 0]], names: [], band })).toThrow(ShapeError);
  expect(() => ecdf({ differences: [[0, 0]], band })).toThrow(ShapeError);
  expect(() => ecdf({ differences: [], band })).toThrow(ValueError);
});

test('bars are as long as their values, grouped, with numbers beside them', () => {
  const figure = bars({
    values: [
      { name: 'machine', group: 'random', value: 0.8, error: 0.01 },
      { name: 'machine', group: 'blocks', value: 0.4 },
      { name: 'network', group: 'random', value: 0.6 },
    ],
    digits: 2,
  });
  const widths = [...figure.svg.matchAll(/<rect[^>]*>/g)]
    .map(([rect]) => ({
      width: Number(rect.match(/ width="([\d.]+)"/)![1]),
      fill: rect.match(/ fill="([^"]*)"/)?.[1],
    }))
    .filter(({ fill, width }) => fill?.startsWith('#') && width > 20);
  expect(widths.map(({ fill }) => fill)).toEqual(['#0072b2', '#d55e00', '#0072b2']);
  expect(widths[1]!.width / widths[0]!.width).toBeCloseTo(0.5, 2);
  expect(widths[2]!.width / widths[0]!.width).toBeCloseTo(0.75, 2);
  for (const label of ['0.80', '0.40', '0.60', 'random', 'blocks', 'network']) {
    expect(figure.svg).toContain(`>${label}</text>`);
  }
});

test('bars below 0 lie to the left of it, and whiskers have room', () => {
  const decibels = bars({
    values: [
      { name: 'lsqr', value: -2 },
      { name: 'loop', value: 4, error: 1 },
    ],
  });
  const [below, above] = [...decibels.svg.matchAll(/<rect[^>]*fill="#0072b2"[^>]*>/g)].map(
    ([rect]) => ['x', 'width'].map((name) => Number(rect.match(` ${name}="([\\d.]+)"`)![1])),
  );
  expect(below![1]! / above![1]!).toBeCloseTo(0.5, 2);
  expect(below![0]! + below![1]!).toBeCloseTo(above![0]!, 2);
  expect(decibels.svg).toContain('>-2.000</text>');
});

test('a histogram has bars as high as its counts, over what chance allows', () => {
  const expected = { count: 10, low: 5, high: 15, name: 'uniform' };
  const { svg } = histogram({ counts: [10, 20, 0, 5], edges: [0, 8], expected });
  const rects = [...svg.matchAll(/<rect[^>]*>/g)].map(([rect]) =>
    ['x', 'y', 'width', 'height'].map((name) => Number(rect.match(` ${name}="([-\\d.]+)"`)?.[1])),
  );
  const bars = rects.slice(-6, -2);
  const [ten, twenty, none, five] = bars.map(([, , , height]) => height!);
  expect(twenty! / ten!).toBeCloseTo(2, 2);
  expect(none).toBe(0);
  expect(ten! / five!).toBeCloseTo(2, 2);
  const [, , width, height] = rects.at(-2)!;
  expect(height).toBeCloseTo(ten!, 1);
  expect(width! / bars[0]![2]!).toBeGreaterThan(4);
  expect(svg).toContain('>uniform</text>');
  expect(() => histogram({ counts: [] })).toThrow(ValueError);
  expect(() => histogram({ counts: [-1] })).toThrow(/counts\[0\] is -1/);
});

test('a corner shows where the samples are, one or several sets of them, and the truth', () => {
  const data = Array.from({ length: 3000 }, (_, i) => [
    Math.sin(i * i),
    5 + 0.1 * Math.cos(3 * i * i),
  ]);
  const one = { shape: [3000, 2], data: data.flat(), name: 'spline' };
  const figure = corner({ sets: [one], names: ['mass', 'spin'], truth: [0.5, 5.05] });
  expect(figure.svg.match(/<image /g)).toHaveLength(1);
  for (const label of ['mass', 'spin', 'spline', 'truth', '5.0']) {
    expect(figure.svg).toContain(`>${label}</text>`);
  }
  expect(figure.svg).not.toMatch(/NaN|Infinity|undefined/);
  const two = corner({ sets: [one, { ...one, name: 'affine' }] });
  expect(two.svg).not.toContain('<image ');
  expect(two.svg).toContain('stroke="#d55e00"');
  // All samples at one place have a range around it.
  expect(corner({ sets: [{ shape: [2, 1], data: [3, 3] }] }).svg).not.toMatch(/NaN|Infinity/);
  expect(() => corner({ sets: [one], names: ['mass'] })).toThrow(/names has 1 entries; expected 2/);
  expect(() => corner({ sets: [{ ...one, data: [1] }] })).toThrow(ShapeError);
  expect(() => corner({ sets: [] })).toThrow(/there are 0 sets/);
});

test('a confusion matrix has percentages of its rows', () => {
  const counts = [
    [30, 10],
    [1, 999],
  ];
  const { svg } = confusion({ counts, classes: ['corn', 'oats'] });
  const shown = [...svg.matchAll(/>(<?[&\w;]*\d+)<\/text>/g)].map(([, label]) => label);
  expect(shown).toEqual(['75', '25', '&lt;1', '100']);
  expect(svg.match(/>corn<\/text>/g)).toHaveLength(2);
  expect(() => confusion({ counts, classes: ['corn'] })).toThrow(ShapeError);
  const wrong = [counts[0]!, [Number.NaN, 1]];
  expect(() => confusion({ counts: wrong, classes: ['corn', 'oats'] })).toThrow(/counts has NaN/);
});

test('figures lie side by side and keep what they are', () => {
  const one = curves({ series: [{ y: [1, 2] }], width: 200, height: 150 });
  const figure = grid([one, one, one], { columns: 2, title: 'three' });
  expect(figure.width).toBe(2 * 200 + 16);
  expect(figure.height).toBe(2 * 150 + 16 + 25);
  expect(figure.svg.split(one.content)).toHaveLength(4);
  expect(() => grid([])).toThrow(ValueError);
});

test('text is drawn with the font that is bundled, Greek and signs included', () => {
  const heading = { x: 0, y: 0, width: 400, height: 24 };
  const titled = (title: string) =>
    darkPixels(curves({ series: [{ y: [1, 2] }], title, width: 400 }), heading);
  const missing = titled('漢'.repeat(20));
  for (const letter of ['σ', 'κ', 'δ', '∂', '±', '×', '−', '²', '≤', '→', '‖']) {
    const ink = titled(letter.repeat(20));
    expect(ink, letter).toBeGreaterThan(50);
    expect(ink, letter).not.toBe(missing);
  }
  expect(titled(' ')).toBe(0);
});

test('what cannot be drawn is refused', () => {
  expect(() => curves({ series: [{ y: [1, 2], x: [1] }] })).toThrow(ShapeError);
  expect(() => curves({ series: [{ y: [1], smooth: 0 }] })).toThrow(ValueError);
  expect(() => curves({ series: [{ y: [1] }], y: { scale: 'log', range: [0, 1] } })).toThrow(
    ValueError,
  );
  // @ts-expect-error an option that there is not
  expect(() => curves({ series: [{ y: [1], colour: 'red' }] })).toThrow(/no option 'colour'/);
  expect(() => bars({ values: [] })).toThrow(ValueError);
});
