/** The form: what is trained, on what, and where. */
import { byId } from './dom.ts';
import type { BackendName, Config, DensityName } from './protocol.ts';

/** Choices that the address may make. */
const choices = ['density', 'network', 'depth', 'width', 'backend'] as const;
/** These are what a model is; the others are where and on what it is trained. */
const structure: readonly string[] = ['network', 'depth', 'width'];

export class Controls {
  readonly #form = byId<HTMLFormElement>('controls');
  readonly #seed: number;
  #file: HTMLOptionElement | undefined;

  /** Offers the networks, and takes the choices of the address. */
  constructor(networks: Readonly<Record<string, string>>, query: URLSearchParams) {
    for (const [name, label] of Object.entries(networks)) {
      this.#field('network').append(new Option(label, name));
    }
    for (const name of choices) {
      const value = query.get(name);
      if (value !== null) this.#field(name).value = value;
    }
    this.#seed = Number(query.get('seed') ?? 1);
    this.show();
  }

  get config(): Config {
    const value = (name: string) => this.#field(name).value;
    return {
      density: value('density') as DensityName,
      network: value('network'),
      depth: Number(value('depth')),
      width: Number(value('width')),
      backend: value('backend') as BackendName,
      seed: this.#seed,
    };
  }

  /** Calls `made` when another model is chosen, and `moved` for other data or another backend. */
  onChange(made: () => void, moved: () => void): void {
    this.#form.addEventListener('input', ({ target }) => {
      const { name } = target as HTMLInputElement | HTMLSelectElement;
      if (structure.includes(name)) {
        this.useFile(undefined);
        made();
      } else if (name !== '') moved();
      this.show();
    });
  }

  /**
   * Chooses the model of a file in place of a network, and the data that it was trained on, if they
   * are among those of the page; without a file there is none to choose any more.
   */
  useFile(file: string | undefined, density?: string): void {
    this.#file?.remove();
    this.#file = undefined;
    if (file !== undefined) {
      this.#file = new Option(file, '', true, true);
      this.#field('network').append(this.#file);
    }
    const data = this.#field('density');
    const before = data.value;
    if (density !== undefined) data.value = density;
    if (data.value === '') data.value = before;
    this.show();
  }

  /** Can the model be trained here? */
  allowTraining(on: boolean): void {
    byId<HTMLButtonElement>('start').disabled = !on;
    this.#field('density').disabled = !on;
  }

  /** This browser has no such backend. */
  withoutBackend(backend: string): void {
    this.#form.querySelector<HTMLOptionElement>(`option[value="${backend}"]`)!.disabled = true;
    const field = this.#field('backend');
    if (field.value === backend) field.value = 'wasm';
  }

  /** Shows what goes with the choices. */
  show(): void {
    for (const name of ['depth', 'width']) {
      byId<HTMLOutputElement>(`${name}Value`).value = this.#file ? '' : this.#field(name).value;
      this.#field(name).disabled = this.#file !== undefined;
    }
    byId('pad').hidden = this.config.density !== 'drawn';
  }

  #field(name: string): HTMLInputElement | HTMLSelectElement {
    return this.#form.elements.namedItem(name) as HTMLInputElement | HTMLSelectElement;
  }
}
