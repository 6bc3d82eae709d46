/** A finished figure, and several side by side. */
import {
  formatValue,
  requireBetween,
  requireFinite,
  requireList,
  requireOptions,
  requireWhole,
  ValueError,
} from '@invnet/tensor';
import { rasterize } from '#platform';
import { element, moved, text } from './svg.ts';
import { fontStack, ink, titleSize } from './theme.ts';

/** What a figure is made of. */
export interface FigureContent {
  /** Size in the units of the SVG, which are pixels at a zoom of 1. */
  readonly width: number;
  readonly height: number;
  /** SVG elements. */
  readonly content: string;
  /** Above the content, which it moves down. */
  readonly title?: string | undefined;
  /** What the title is centred on. Default: the middle of the width. */
  readonly middle?: number;
}

/**
 * A finished figure: text of an SVG, and PNG bytes of it.
 *
 * @example
 * const figure = curves({ series: [{ name: 'loss', y: [3, 2, 1] }] });
 * await writeFile('loss.svg', figure.svg);
 * await writeFile('loss.png', figure.png());
 */
export class Figure {
  readonly width: number;
  readonly height: number;
  /** The SVG elements, title included, without the outer one: what another figure can hold. */
  readonly content: string;

  /** @throws ValueError for sizes that are none, and a title or content that is no text. */
  constructor(figure: FigureContent) {
    requireOptions('Figure', figure, ['width', 'height', 'content', 'title', 'middle']);
    const { width, height, content, title } = figure;
    requireBetween('Figure', 'width', width, 0);
    requireBetween('Figure', 'height', height, 0);
    const { middle = width / 2 } = figure;
    requireFinite('Figure', 'middle', middle);
    if (typeof content !== 'string') {
      throw new ValueError(
        `Figure: content is ${formatValue(content)}; expected elements of an SVG.`,
      );
    }
    const above = title === undefined ? 0 : titleSize + 12;
    this.width = Math.ceil(width);
    this.height = Math.ceil(height + above);
    const heading = text(middle, titleSize + 5, title ?? '', {
      'font-size': titleSize,
      'font-weight': 600,
    });
    this.content = above ? heading + moved(0, above, content) : content;
  }

  /** A file of its own, or an element of a page. */
  get svg(): string {
    const { width, height } = this;
    const attributes = {
      xmlns: 'http://www.w3.org/2000/svg',
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      'font-family': fontStack,
      fill: ink,
    };
    const crisp = element(
      'style',
      {},
      '@supports (image-rendering: pixelated) { image { image-rendering: pixelated } }',
    );
    const paper = element('rect', { width, height, fill: 'white' });
    return `${element('svg', attributes, crisp + paper + this.content)}\n`;
  }

  /**
   * PNG bytes with `zoom` pixels for each unit of the SVG. The font is bundled, so no machine lacks it.
   *
   * @throws BackendError in a page, which shows the SVG itself.
   */
  png(options: { readonly zoom?: number } = {}): Uint8Array {
    requireOptions('Figure.png', options, ['zoom']);
    const { zoom = 2 } = options;
    requireBetween('Figure.png', 'zoom', zoom, 0, mostPixels);
    const pixels = Math.round(this.width * zoom) * Math.round(this.height * zoom);
    if (!(pixels >= 1 && pixels <= mostPixels)) {
      throw new ValueError(
        `Figure.png: a zoom of ${zoom} makes ${pixels} pixels of ${this.width} × ${this.height}; expected 1 to ${mostPixels}.`,
      );
    }
    return rasterize(this.svg, zoom);
  }
}

/** More would not fit into memory. */
const mostPixels = 2 ** 28;

/** How figures are laid out. */
export interface GridOptions {
  /** Figures in a row. Default: all of them. */
  readonly columns?: number;
  readonly title?: string;
}

const gap = 16;

/**
 * Figures side by side, row by row, each row as high as its highest figure.
 *
 * @throws ValueError without figures, or for columns that are no whole number of at least 1.
 * @example grid([coverage, ranks], { columns: 2, title: 'Calibration' });
 */
export function grid(figures: readonly Figure[], options: GridOptions = {}): Figure {
  requireList('grid', 'figures', figures, 'a list of figures');
  requireOptions('grid', options, ['columns', 'title']);
  const { columns = figures.length, title } = options;
  if (figures.length === 0)
    throw new ValueError('grid: there are no figures; expected at least 1.');
  const other = figures.find((figure) => !(figure instanceof Figure));
  if (other !== undefined) {
    throw new ValueError(`grid: ${formatValue(other)} is no Figure; expected figures alone.`);
  }
  requireWhole('grid', 'columns', columns, 1);
  let [width, height] = [0, 0];
  const parts: string[] = [];
  for (let first = 0; first < figures.length; first += columns) {
    const row = figures.slice(first, first + columns);
    let x = 0;
    if (first > 0) height += gap;
    for (const figure of row) {
      parts.push(moved(x, height, figure.content));
      x += figure.width + gap;
    }
    width = Math.max(width, x - gap);
    height += Math.max(...row.map((figure) => figure.height));
  }
  return new Figure({ width, height, content: parts.join(''), title });
}
