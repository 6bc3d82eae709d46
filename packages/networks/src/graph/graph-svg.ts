/** Graphs as pictures. Left out: files, and pictures of another kind than one SVG. */
import { formatShape, formatValue, ValueError } from '@invnet/tensor';
import { GraphNetwork } from './graph-network.ts';
import { type Layout, layoutOf } from './layout.ts';
import { type GraphNode, namesGivenBy } from './nodes.ts';

const font = { size: 13, small: 11, advance: 6.4, stack: 'Helvetica, Arial, sans-serif' };
const box = { height: 42, gap: 26, between: 34, margin: 12, slot: 14 };
const ink = '#222222';
/** Of what is no state: conditions, features, and the lines that bring them. */
const side = '#b8500b';

/** Fill and border of a box. */
const looks: Readonly<Record<GraphNode['kind'], readonly [fill: string, border: string]>> = {
  input: ['#dbe9f6', '#0072b2'],
  output: ['#dbe9f6', '#0072b2'],
  condition: ['#fde8d7', side],
  feature: ['#fff7f0', side],
  module: ['#ffffff', ink],
  split: ['#f1f1f1', '#999999'],
  concat: ['#f1f1f1', '#999999'],
};

/** A line of a picture, from one node to another. */
interface Line {
  readonly from: number;
  readonly to: number;
  readonly isState: boolean;
  readonly points: Layout['edges'][number]['points'];
}

/**
 * A graph as the text of an SVG: a box for each node, with its name, what it is and which shapes it gives. States lead
 * down by solid lines, and conditions by dashed ones.
 *
 * @throws ValueError unless it is a GraphNetwork.
 * @example await writeFile('graph.svg', graphSvg(network));
 */
export function graphSvg(network: GraphNetwork): string {
  if (!(network instanceof GraphNetwork)) {
    throw new ValueError(`graphSvg: got ${formatValue(network)}; expected a GraphNetwork.`);
  }
  const { nodes, shapes } = network;
  const givers = new Map(nodes.flatMap((node, i) => namesGivenBy(node).map((name) => [name, i])));
  const texts = nodes.map((node) => {
    const given = [...new Set(namesGivenBy(node).map((name) => formatShape(shapes[name]!)))];
    const what = 'module' in node ? node.module.type : node.kind;
    return [node.name, [what, ...given].join(' ')] as const;
  });
  const boxes = nodes.map((node, i) => ({
    width: 20 + font.advance * Math.max(...texts[i]!.map((text) => text.length)),
    reads: readsOf(node).map(({ name, isState }) => ({
      from: givers.get(name)!,
      weight: isState ? 10 : 1,
    })),
  }));
  const layout = layoutOf(boxes, box.gap);
  const isState = nodes.flatMap((node) => readsOf(node).map((read) => read.isState));
  const lines = layout.edges.map((edge, i) => ({ ...edge, isState: isState[i]! }));
  const right = Math.max(...layout.boxes.map(({ x }, i) => x + boxes[i]!.width / 2));
  const [width, height] = [
    right + box.margin,
    bottomOf(Math.max(...layout.boxes.map(({ row }) => row))),
  ];
  const size = [width + box.margin, height + box.margin].map((v) => Math.ceil(v));
  const drawn = nodes.map((node, i) => {
    const { x, row } = layout.boxes[i]!;
    return drawnBox(node.kind, texts[i]!, [across(x), topOf(row), boxes[i]!.width]);
  });
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${size[0]}" height="${size[1]}" ` +
    `viewBox="0 0 ${size.join(' ')}" font-family="${font.stack}" text-anchor="middle">` +
    `<defs>${arrowHead('state', ink)}${arrowHead('side', side)}</defs>` +
    `<rect width="100%" height="100%" fill="white"/>` +
    `${lines.map((line) => drawnLine(line, lines, nodes)).join('')}${drawn.join('')}</svg>\n`
  );
}

/** All that a node reads, and whether it is a state that it moves on. */
function readsOf(node: GraphNode): readonly { name: string; isState: boolean }[] {
  const inputs = 'inputs' in node ? node.inputs : [];
  const conditions = 'conditions' in node ? (node.conditions ?? []) : [];
  return [
    ...inputs.map((name) => ({ name, isState: node.kind !== 'feature' })),
    ...conditions.map((name) => ({ name, isState: false })),
  ];
}

function drawnBox(
  kind: GraphNode['kind'],
  [name, what]: readonly [string, string],
  [x, y, width]: readonly [number, number, number],
): string {
  const [fill, border] = looks[kind];
  const corner = kind === 'input' || kind === 'output' || kind === 'condition' ? box.height / 2 : 4;
  return (
    `<rect x="${round(x - width / 2)}" y="${y}" width="${round(width)}" height="${box.height}" rx="${corner}" ` +
    `fill="${fill}" stroke="${border}"/>` +
    `<text x="${round(x)}" y="${y + 18}" font-size="${font.size}" font-weight="600" fill="${ink}">${escaped(name)}</text>` +
    `<text x="${round(x)}" y="${y + 33}" font-size="${font.small}" fill="#666666">${escaped(what)}</text>`
  );
}

/** A curve from box to box, which passes the rows between them upright. */
function drawnLine(line: Line, lines: readonly Line[], nodes: readonly GraphNode[]): string {
  const { from, to, isState, points } = line;
  const { kind } = nodes[from]!;
  // All that see a condition get it from one place.
  const spread = kind === 'condition' || kind === 'feature' ? 0 : box.slot;
  const leaving = lines.filter((other) => other.from === from);
  const arriving = lines.filter((other) => other.to === to);
  const [first, ...others] = points;
  let x = across(first!.x) + spread * slotOf(line, leaving, (l) => l.points[1]!.x);
  let y = bottomOf(first!.row);
  let path = `M${round(x)},${y}`;
  others.forEach((point, i) => {
    const last = i === others.length - 1;
    const slot = last ? slotOf(line, arriving, (l) => l.points.at(-2)!.x) : 0;
    const [toX, toY] = [across(point.x) + box.slot * slot, topOf(point.row) - (last ? 6 : 0)];
    const middle = (y + toY) / 2;
    path += `C${round(x)},${middle} ${round(toX)},${middle} ${round(toX)},${toY}`;
    x = toX;
    y = bottomOf(point.row);
    if (!last) path += `V${y}`;
  });
  const look = isState ? `stroke="${ink}"` : `stroke="${side}" stroke-dasharray="5 3"`;
  return `<path d="${path}" fill="none" ${look} marker-end="url(#${isState ? 'state' : 'side'})"/>`;
}

/** Which place a line has among others, 0 in the middle, in the order in which they come. */
function slotOf(line: Line, lines: readonly Line[], at: (line: Line) => number): number {
  const sorted = lines.toSorted((a, b) => at(a) - at(b));
  return sorted.indexOf(line) - (lines.length - 1) / 2;
}

function arrowHead(id: string, color: string): string {
  return (
    `<marker id="${id}" viewBox="0 0 8 8" refX="2" refY="4" markerWidth="8" markerHeight="8" orient="auto">` +
    `<path d="M0,0.5L8,4L0,7.5Z" fill="${color}"/></marker>`
  );
}

function across(x: number): number {
  return box.margin + x;
}

function topOf(row: number): number {
  return box.margin + row * (box.height + box.between);
}

function bottomOf(row: number): number {
  return topOf(row) + box.height;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
