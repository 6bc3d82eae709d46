/** The parts of the page, of which one is shown. */
import { byId } from './dom.ts';

const parts = { train: 'app', brain: 'brain' } as const;
const names = ['train', 'brain'] as const;

/** Shows the part that the address asks for, or that is clicked; `openBrain` is called once, when it is first shown. */
export function useTabs(query: URLSearchParams, openBrain: () => void): void {
  let opened = false;
  const show = (shown: keyof typeof parts) => {
    for (const name of names) {
      byId(`tab-${name}`).ariaCurrent = name === shown ? 'page' : null;
      byId(parts[name]).hidden = name !== shown;
    }
    if (shown === 'brain' && !opened) openBrain();
    opened ||= shown === 'brain';
  };
  for (const name of names) byId(`tab-${name}`).addEventListener('click', () => show(name));
  show(query.get('tab') === 'brain' ? 'brain' : 'train');
}
