/** Maps of classes: their colours, and outlines of masks. */
import { requireList, requireOptions, requireWhole, ValueError } from '@invnet/tensor';
import { components } from './color-scale.ts';
import { element } from './svg.ts';
import { classColors } from './theme.ts';

/** One class of a map. */
export interface LabelClass {
  /** The whole number that stands for it; numbers of no class are left unpainted. */
  readonly label: number;
  readonly name: string;
  /** `#rrggbb`. Default: the next of twenty. */
  readonly color?: string;
}

/** Classes with a colour each. */
export function coloredClasses(op: string, classes: readonly LabelClass[]): Required<LabelClass>[] {
  requireList(op, 'classes', classes);
  return classes.map((given, i) => {
    requireOptions(`${op}: classes[${i}]`, given, ['label', 'name', 'color']);
    const { label, name, color = classColors[i % classColors.length]! } = given;
    requireWhole(op, `classes[${i}].label`, label, 0);
    if (!/^#[0-9a-f]{6}$/i.test(color)) {
      throw new ValueError(`${op}: classes[${i}].color is '${color}'; expected '#rrggbb'.`);
    }
    return { label, name, color };
  });
}

/** Paints classes over RGBA pixels, mixed with what is there. */
export function paintLabels(
  rgba: Uint8Array,
  labels: ArrayLike<number>,
  { classes, opacity }: { classes: readonly Required<LabelClass>[]; opacity: number },
): void {
  const colorOf = new Map(classes.map(({ label, color }) => [label, components(color)]));
  for (let i = 0; i < labels.length; i++) {
    const color = colorOf.get(labels[i]!);
    if (!color) continue;
    for (let c = 0; c < 3; c++) {
      rgba[4 * i + c] = Math.round(opacity * color[c]! + (1 - opacity) * rgba[4 * i + c]!);
    }
    rgba[4 * i + 3] = 255;
  }
}

/** A line along the edges between pixels within a mask, which are not 0, and those without. */
export function outline(
  mask: ArrayLike<number>,
  size: { readonly width: number; readonly height: number },
  box: { readonly width: number; readonly height: number },
): string {
  const { width, height } = size;
  const within = (row: number, column: number) =>
    row >= 0 && row < height && column >= 0 && column < width && mask[row * width + column] !== 0;
  const [dx, dy] = [box.width / width, box.height / height];
  const parts: string[] = [];
  for (let row = 0; row <= height; row++) {
    for (let column = 0; column <= width; column++) {
      const at = `M${(column * dx).toFixed(2)},${(row * dy).toFixed(2)}`;
      const here = within(row, column);
      if (here !== within(row - 1, column)) parts.push(`${at}h${dx.toFixed(2)}`);
      if (here !== within(row, column - 1)) parts.push(`${at}v${dy.toFixed(2)}`);
    }
  }
  const d = parts.join('');
  const line = (color: string, strokeWidth: number) =>
    element('path', { d, fill: 'none', stroke: color, 'stroke-width': strokeWidth });
  // White with a dark rim shows on every colour.
  return line('#000000', 2) + line('#ffffff', 1);
}
