/** Says what the model is. All of it is set as text, for a file may hold anything. */
import { byId } from './dom.ts';
import type { Description } from './protocol.ts';

/** @param file - What it was opened from just now. */
export function showCard(description: Description, file: string | undefined): void {
  const { type, parameters, input, summary, metadata, drawable } = description;
  if (file !== undefined) byId('model-file').textContent = file;
  byId('model-type').textContent = type;
  byId('model-parameters').textContent = parameters.toLocaleString('en');
  byId('model-input').textContent = input ? `[N, ${input.join(', ')}]` : 'not known';
  byId('model-reason').textContent = drawable.kind === 'nothing' ? drawable.reason : '';
  const entries = Object.entries(metadata);
  byId('model-notes').hidden = entries.length === 0;
  byId('model-metadata').replaceChildren(
    ...entries.map(([key, value]) => {
      const entry = document.createElement('div');
      entry.append(element('dt', key), element('dd', value));
      return entry;
    }),
  );
  byId('model-summary').textContent = summary;
  // The table is what there is to see where nothing is drawn.
  if (drawable.kind === 'nothing') byId<HTMLDetailsElement>('model-parts').open = true;
  byId('model').hidden = false;
}

export function hideCard(): void {
  byId('model').hidden = true;
  byId('model-file').textContent = 'made here';
}

function element(tag: string, text: string): HTMLElement {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}
