/** Several modules that are trained and saved as one. */
import { Module, requireModule } from '@invnet/layers';
import { requireRecord } from '@invnet/tensor';

/**
 * Modules by name, such as a network with the convolutions before and behind it. How they work together
 * is up to whoever calls them.
 *
 * @example
 * const model = new ModuleGroup({ lift, network, readout });
 * model.parts.lift.forward(x);
 * model.parameters; // parts.lift.w, parts.network.0.w1, …
 * await loadModel(path, { modules: [...networkCatalogue, ModuleGroup], as: ModuleGroup });
 */
export class ModuleGroup<
  P extends Readonly<Record<string, Module>> = Readonly<Record<string, Module>>,
> extends Module {
  static readonly type: string = 'ModuleGroup';
  readonly parts: P;

  /** @throws ValueError unless it is a record of modules. */
  constructor(parts: P) {
    super();
    requireRecord('ModuleGroup', 'parts', parts, '{ name: module, … }');
    for (const part of Object.values(parts)) requireModule('ModuleGroup', part);
    this.parts = { ...parts };
  }

  static build({ parts }: { readonly parts: Readonly<Record<string, Module>> }): ModuleGroup {
    return new ModuleGroup(parts);
  }

  get options() {
    return { parts: this.parts };
  }
}
