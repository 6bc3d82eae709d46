/**
 * Sylvester flows (van den Berg et al., "Sylvester normalizing flows for variational inference", 2018).
 * Mathematics: docs/math/residual/sylvester.md
 */
import { RandomStream, type Tensor } from '@invnet/tensor';
import { Composite } from '../combinators/composite.ts';
import { reverse } from '../combinators/reverse.ts';
import { compose } from '../combinators/sequential.ts';
import { type Bijection, requireBijection } from '../core/bijection.ts';
import { requireModuleOptions } from '../core/checks.ts';
import { Householder } from '../linear/householder.ts';
import { Construction } from '../tree/construction.ts';
import { TriangularSylvester, type TriangularSylvesterOptions } from './triangular-sylvester.ts';

/** Options of `Sylvester`. */
export interface SylvesterOptions extends TriangularSylvesterOptions {
  /**
   * Q, a linear layer of the channels: reflections, an `Orthogonal`, or a `Permutation`. Default: a `Householder` of two
   * reflections.
   */
  readonly rotation?: Bijection;
}

/**
 * y = x + Q R·tanh(R̃ Qᵀx + b) with an orthogonal Q and upper triangular R and R̃: what a planar flow is for one
 * direction, for as many as there are units. Other linear layers than orthogonal ones do as well, with Q⁻¹ for Qᵀ.
 *
 * @example
 * const layer = new Sylvester({ channels: 8, units: 4, random });
 * const spread = new Sylvester({ channels: 8, rotation: new Permutation({ channels: 8, order: 'reversed' }) });
 */
export class Sylvester extends Composite {
  static readonly type: string = 'Sylvester';
  readonly rotation: Bijection;
  readonly triangular: TriangularSylvester;

  /** @throws ValueError as `TriangularSylvester` does, and for a rotation that is none. */
  constructor(options: SylvesterOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('Sylvester', options, ['channels', 'units', 'rotation']);
    const { rotation, ...sizes } = options;
    const random = options.random ?? new RandomStream(0);
    this.triangular = new TriangularSylvester({ ...sizes, random });
    this.rotation = requireBijection(
      'Sylvester',
      'rotation',
      rotation ?? new Householder({ channels: options.channels, random }),
      1,
    );
    building.complete();
  }

  get options() {
    return { ...this.triangular.options, rotation: this.rotation };
  }

  protected get whole(): Bijection<Tensor> {
    return compose(reverse(this.rotation), this.triangular, this.rotation);
  }
}
