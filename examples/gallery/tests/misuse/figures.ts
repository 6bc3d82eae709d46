/** Right calls of `@invnet/figures`. */
import * as figures from '@invnet/figures';
import { type Calls, call, make, on } from './call.ts';

/** Calls of all exports of figures. */
export function figureCalls(): Calls {
  // What is not finite leaves a gap.
  const may = { may: ['nan'] } as const;
  const size = { width: 200, height: 150 };
  const axes = { x: { label: 'x', range: [0, 3] }, y: { label: 'y', scale: 'linear' } };
  const series = [{ name: 'a', x: [1, 2], y: [3, 5], smooth: 2, dashed: true }];
  const references = [{ y: 4, label: 'four' }];
  const figure = figures.curves({ series: [{ y: [1, 2] }] });
  const band = { at: [0.5], lower: [-0.1], upper: [0.1], probability: 0.95 };
  const panel = { ...{ height: 1, width: 2 }, values: [0, 1], title: 'a', gain: 2 };
  return {
    curves: [
      call(figures.curves, [{ ...size, ...axes, title: 'c', series, references, clip: 0.9 }], may),
    ],
    ecdf: [call(figures.ecdf, [{ ...size, differences: [[0]], names: ['a'], band }], may)],
    histogram: [
      call(figures.histogram, [
        { ...size, counts: [1, 2], edges: [0, 2], expected: { count: 1, low: 0, high: 2 } },
      ]),
    ],
    corner: [
      call(figures.corner, [
        {
          sets: [{ name: 'a', shape: [2, 2], data: [1, 2, 3, 5] }],
          names: ['a', 'b'],
          truth: [1, 2],
          size: 60,
        },
      ]),
    ],
    bars: [
      call(figures.bars, [
        { values: [{ name: 'a', value: 1, group: 'g', error: 0.1 }], label: 'l', range: [0, 2] },
      ]),
    ],
    confusion: [
      call(figures.confusion, [
        {
          counts: [
            [3, 1],
            [0, 2],
          ],
          classes: ['a', 'b'],
          cell: 20,
        },
      ]),
    ],
    panels: [call(figures.panels, [[panel], { size: 40, columns: 1, title: 'p' }], may)],
    grid: [call(figures.grid, [[figure], { columns: 1, title: 'g' }])],
    Figure: [
      make(figures.Figure, [{ width: 10, height: 10, content: '', title: 't' }], may),
      on(figure, 'png', [{ zoom: 1 }]),
    ],
    colors: [{ name: 'colors', args: [], run: () => figures.colors }],
  };
}
