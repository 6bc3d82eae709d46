/** What figures need of Node.js: a document for Observable Plot, and SVG to PNG with a font of our own. */
import { createRequire } from 'node:module';
import { BackendError } from '@invnet/tensor';
import { parseHTML } from 'linkedom';
import { fontFamily } from '../theme.ts';

const require = createRequire(import.meta.url);

export const document: Document = parseHTML('<html></html>').document;

/**
 * PNG bytes of an SVG, `zoom` pixels for one of its units.
 *
 * @throws BackendError where the renderer and its font are not installed, which SVGs do without.
 */
export function rasterize(svg: string, zoom: number): Uint8Array {
  const { Resvg, fontFiles } = renderer();
  const options = {
    fitTo: { mode: 'zoom' as const, value: zoom },
    font: { loadSystemFonts: false, fontFiles, defaultFontFamily: fontFamily },
  };
  return new Resvg(svg, options).render().asPng();
}

function renderer() {
  try {
    const { Resvg }: typeof import('@resvg/resvg-js') = require('@resvg/resvg-js');
    // Machines without fonts would leave out all text, others choose fonts of other widths.
    const fontFiles = ['400Regular', '600SemiBold'].map((weight) =>
      require.resolve(`@expo-google-fonts/inter/${weight}/Inter_${weight}.ttf`),
    );
    return { Resvg, fontFiles };
  } catch (cause) {
    throw new BackendError(
      'Figure.png: the renderer or its font is not there; expected them to be installed, by ' +
        'npm install @resvg/resvg-js @expo-google-fonts/inter. SVGs need neither.',
      { cause },
    );
  }
}
