import { type Figure, panels } from '@invnet/figures';
import { ShapeError, ValueError } from '@invnet/tensor';
import { expect, test } from 'vitest';
import { type Color, darkPixels, pixelsOf } from './pixels.ts';

// Without titles the first panel begins here, and its neighbour 48 + 8 to the right.
const edge = 6;
const layout = { size: 48, bar: false };
const pair = { height: 1, width: 2 };

/** Colours of the pixels of 1 × 2 panels of 48 by 24, in a row. */
function halves(figure: Figure, panel = 0): [Color, Color] {
  const color = pixelsOf(figure);
  const x = edge + panel * (48 + 8);
  return [color(x + 12, edge + 12), color(x + 36, edge + 12)];
}

const grey = (level: number): Color => [level, level, level];

test('panels share one scale: what is equal looks equal, and the bar runs over all values', () => {
  const list = [
    { ...pair, values: [0, 2] },
    { ...pair, values: [2, 4] },
    { ...pair, values: [1, Number.NaN], gain: 2 },
    { ...pair, values: [-100, 100], scale: { palette: 'diverging' as const } },
  ];
  const figure = panels(list, { ...layout, bar: true, scale: { label: 'magnitude' } });
  const color = pixelsOf(figure);
  const top = edge + 18; // below the heading, "× 2"
  const at = (panel: number, half: number) => color(edge + panel * 56 + 12 + 24 * half, top + 12);
  expect([at(0, 0), at(0, 1)]).toEqual([grey(0), grey(128)]);
  expect([at(1, 0), at(1, 1)]).toEqual([grey(128), grey(255)]);
  expect(at(2, 0)).toEqual(grey(128));
  expect(at(2, 1)).toEqual(grey(0xe6)); // unpainted
  const [negative, positive] = [at(3, 0), at(3, 1)];
  expect(negative[2]).toBeGreaterThan(negative[0] + 60);
  expect(positive[0]).toBeGreaterThan(positive[2] + 60);

  const bar = edge + 4 * 56 - 8 + 10 + 5;
  expect(color(bar, top + 2)[0]).toBeGreaterThan(225);
  expect(color(bar, top + 22)[0]).toBeLessThan(30);
  expect(figure.svg.match(/>magnitude</g)).toHaveLength(1);
  // One bar of its own has the panel with a scale of its own.
  expect(figure.svg.match(/<image /g)).toHaveLength(4 + 2);
});

test('ranges, clipping and palettes', () => {
  const ramp = Float32Array.from({ length: 100 }, (_, i) => i - 50);
  const line = { height: 1, width: 100, values: ramp };
  const colors = (scale: object) => {
    const color = pixelsOf(panels([line], { size: 200, bar: false, aspect: 0.1, scale }));
    return (value: number) => color(edge + 2 * (value + 50) + 1, edge + 10);
  };
  const ranged = colors({ range: [0, 40] });
  expect([ranged(-20), ranged(10), ranged(45)]).toEqual([grey(0), grey(64), grey(255)]);
  const clipped = colors({ clip: 0.8 });
  expect(clipped(-42)).toEqual(grey(0));
  expect(clipped(-35)[0]).toBeGreaterThan(0);
  expect(clipped(42)).toEqual(grey(255));
  const diverging = colors({ palette: 'diverging', clip: 0.55 });
  expect(Math.min(...diverging(0))).toBeGreaterThan(235);
  expect(diverging(-30)).toEqual(diverging(-49));
  const sequential = colors({ palette: 'sequential' });
  expect(Math.max(...sequential(-50))).toBeLessThan(16);
  expect(Math.min(...sequential(49))).toBeGreaterThan(100);
});

test('classes have their colours, are mixed with the image below, and are named', () => {
  const classes = [
    { label: 1, name: 'corn & oats', color: '#ff0000' },
    { label: 7, name: 'woods', color: '#0000ff' },
  ];
  const list = [
    { ...pair, labels: [1, 7] },
    { ...pair, labels: [7, 3] },
    { ...pair, labels: [0, 1], values: [0, 1] },
    { ...pair, rgb: [0, 1, 0.5, 0, 0, 0] },
  ];
  const figure = panels(list, { ...layout, classes, opacity: 0.25 });
  const [red, blue] = [
    [255, 0, 0],
    [0, 0, 255],
  ];
  expect(halves(figure, 0)).toEqual([red, blue]);
  expect(halves(figure, 1)).toEqual([blue, grey(0xe6)]);
  expect(halves(figure, 2)).toEqual([grey(0), [255, 191, 191]]);
  expect(halves(figure, 3)).toEqual([
    [0, 128, 0],
    [255, 0, 0],
  ]);
  expect(figure.svg).toContain('>corn &amp; oats<');
});

test('an outline runs along the edges of a mask and nowhere else', () => {
  const white = { height: 4, width: 4, values: new Float32Array(16).fill(1) };
  const outline = Uint8Array.from({ length: 16 }, (_, i) => (i % 4 < 2 ? 1 : 0));
  const figure = panels([{ ...white, outline }], { ...layout, scale: { range: [0, 1] } });
  const around = (x: number) => ({ x: edge + x - 3, y: edge + 10, width: 6, height: 20 });
  expect(darkPixels(figure, around(24))).toBeGreaterThan(15);
  expect(darkPixels(figure, around(36))).toBe(0);
  expect(darkPixels(figure, around(12))).toBe(0);
});

test('wiggles: positive lobes are filled to the right of their trace, alone or over the image', () => {
  // One trace of 40 samples in the middle of three, positive in its upper half.
  const values = Float32Array.from({ length: 120 }, (_, i) =>
    i % 3 === 1 ? (i < 60 ? 0.5 : -0.5) : 0,
  );
  const gather = { height: 40, width: 3, values };
  const scale = { palette: 'diverging' as const, range: [-1, 1] as const };
  const draw = (wiggles?: { every: number; alone?: boolean }) =>
    panels([{ ...gather, ...(wiggles ? { wiggles } : {}) }], { size: 90, aspect: 1, scale });
  const alone = draw({ every: 1, alone: true });
  const [left, right] = [edge + 30 + 2, edge + 45 + 2];
  const part = (x: number, y: number) => ({ x, y: edge + y, width: 11, height: 30 });
  expect(darkPixels(alone, part(right, 8))).toBeGreaterThan(300);
  expect(darkPixels(alone, part(left, 8))).toBe(0);
  expect(darkPixels(alone, part(right, 52))).toBe(0);
  expect(pixelsOf(alone)(edge + 45 - 8, edge + 70)).toEqual(grey(255));
  const both = pixelsOf(draw({ every: 1 }));
  const without = pixelsOf(draw());
  expect(both(right + 5, edge + 20)[0]).toBeLessThan(60);
  expect(both(left + 5, edge + 70)).toEqual(without(left + 5, edge + 70));
});

test('sizes follow from the panels; axes stand at the left and below', () => {
  const image = { height: 2, width: 4, values: new Float32Array(8) };
  const plain = panels(Array(6).fill(image), { columns: 3, size: 40, gap: 5, bar: false });
  expect([plain.width, plain.height]).toEqual([3 * 45 - 5 + 12, 2 * 25 - 5 + 12]);
  const axes = {
    x: { range: [0, 2] as const, label: 'distance (km)' },
    y: { range: [0, 1] as const, label: 'depth (km)' },
  };
  const figure = panels(Array(5).fill(image), { columns: 3, size: 40, bar: false, ...axes });
  expect(figure.svg.match(/>distance \(km\)</g)).toHaveLength(3);
  expect(figure.svg.match(/>depth \(km\)</g)).toHaveLength(2);
});

test('what cannot be drawn is refused, and the message says where it is', () => {
  const image = { ...pair, values: [0, 1] };
  expect(() => panels([])).toThrow(ValueError);
  expect(() => panels([{ ...pair, values: [1] }])).toThrow(ShapeError);
  expect(() => panels([image, { ...pair, rgb: [1, 2] }])).toThrow(
    /list\[1\].*rgb has 2.*expected 6/,
  );
  expect(() => panels([{ ...image, rgb: Array(6).fill(0) }])).toThrow(/both values and rgb/);
  expect(() => panels([{ ...pair, labels: [0, 1], gain: 2 }])).toThrow(ValueError);
  expect(() => panels([image], { scale: { range: [0, 1], clip: 0.9 } })).toThrow(ValueError);
  expect(() => panels([image], { scale: { range: [1, 1] } })).toThrow(ValueError);
  expect(() => panels([image], { classes: [{ label: 1, name: 'a', color: 'red' }] })).toThrow(
    /#rrggbb/,
  );
  // @ts-expect-error an option that there is not
  expect(() => panels([image], { colour: 'grey' })).toThrow(/no option 'colour'/);
});
