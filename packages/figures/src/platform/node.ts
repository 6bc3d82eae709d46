/** What figures need of Node.js: a document for Observable Plot, and SVG to PNG with a font of our own. */
import { createRequire } from 'node:module';
import { Resvg } from '@resvg/resvg-js';
import { parseHTML } from 'linkedom';
import { fontFamily } from '../theme.ts';

const { resolve } = createRequire(import.meta.url);

// Machines without fonts would leave out all text, others choose fonts of other widths.
const fontFiles = ['400Regular', '600SemiBold'].map((weight) =>
  resolve(`@expo-google-fonts/inter/${weight}/Inter_${weight}.ttf`),
);

export const document: Document = parseHTML('<html></html>').document;

/** PNG bytes of an SVG, `zoom` pixels for one of its units. */
export function rasterize(svg: string, zoom: number): Uint8Array {
  const options = {
    fitTo: { mode: 'zoom' as const, value: zoom },
    font: { loadSystemFonts: false, fontFiles, defaultFontFamily: fontFamily },
  };
  return new Resvg(svg, options).render().asPng();
}
