/** Files come in by the button, or are dropped anywhere on the page. */
import { byId } from './dom.ts';

export function onFile(open: (file: File) => void): void {
  const input = byId<HTMLInputElement>('open');
  input.addEventListener('change', () => {
    const [file] = input.files ?? [];
    if (file) open(file);
    // The same file may be chosen again.
    input.value = '';
  });
  const mark = (on: boolean) => document.body.classList.toggle('dragging', on);
  document.addEventListener('dragover', (event) => {
    event.preventDefault();
    mark(true);
  });
  document.addEventListener('dragleave', ({ relatedTarget }) => {
    if (!relatedTarget) mark(false);
  });
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    mark(false);
    const [file] = event.dataTransfer?.files ?? [];
    if (file) open(file);
  });
}
