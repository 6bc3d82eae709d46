/** A figure in a page: the drawing, and what it means in words, for those who see it and those who do not. */
import type { Figure } from '@invnet/figures';
import { text } from './html.ts';

/** A figure with its caption. */
export interface Plot {
  readonly figure: Figure;
  /** What it shows, in a few words. */
  readonly name: string;
  /** What it means, and how to read it. */
  readonly caption: string;
  /** Takes the whole width among others. Default: false. */
  readonly wide?: boolean;
}

/** As an element of the page. */
export function plot({ figure, name, caption, wide = false }: Plot): string {
  const label = text(`${name}. ${caption}`);
  const svg = figure.svg.trim().replace('<svg ', `<svg role="img" aria-label="${label}" `);
  return `<figure${wide ? ' class="wide"' : ''}>${svg}<figcaption><b>${text(name)}.</b> ${text(caption)}</figcaption></figure>`;
}
