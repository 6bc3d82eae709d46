/** What all figures share: font, sizes, and colours that colour-blind readers can tell apart. */

/** Bundled, so that PNGs have the same text on all machines; SVGs name others behind it. */
export const fontFamily = 'Inter';
export const fontStack = `${fontFamily}, Helvetica, Arial, sans-serif`;
export const fontSize = 11;
export const smallSize = 10;
export const titleSize = 13;

export const ink = '#222222';
export const softInk = '#666666';
export const gridInk = '#e6e6e6';

/** Okabe and Ito's colours (Color Universal Design, 2008), without the yellow that paper swallows. */
export const colors = [
  '#0072b2',
  '#d55e00',
  '#009e73',
  '#cc79a7',
  '#e69f00',
  '#56b4e9',
  '#7f7f7f',
] as const;

/** For maps of more classes than there are colours to tell apart by eye in a line: Tableau's twenty. */
export const classColors = [
  '#4e79a7',
  '#f28e2b',
  '#59a14f',
  '#e15759',
  '#76b7b2',
  '#edc948',
  '#b07aa1',
  '#ff9da7',
  '#9c755f',
  '#bab0ac',
  '#a0cbe8',
  '#ffbe7d',
  '#8cd17d',
  '#b6992d',
  '#499894',
  '#86bcb6',
  '#d37295',
  '#fabfd2',
  '#d4a6c8',
  '#79706e',
] as const;
