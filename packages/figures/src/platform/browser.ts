/** What figures need of a page: its document. */
import { BackendError } from '@invnet/tensor';

export const document: Document = globalThis.document;

/** @throws BackendError: pages show the SVG itself. */
export function rasterize(): never {
  throw new BackendError('Figure.png: there is no renderer in pages; expected Node.js. Use svg.');
}
