/** Energies as a flow's latent variables see them. Mathematics: docs/math/flows/objectives.md */
import { outsideSteps, withoutGradients } from '@invnet/layers';
import { add, full, sub, type Tensor, tidy } from '@invnet/tensor';
import { baseContext, type Flow, networkContext, requireFlow } from '../flow.ts';
import { type Energy, energyAt, requireEnergy, slopeAt } from './energy.ts';

/**
 * The energy of the latent z where x = f⁻¹(z) has the energy U: U(f⁻¹(z)) − log|det ∂f⁻¹/∂z|. Where the flow fits,
 * it is that of the base, round and of one scale, whatever U is like (Hoffman et al., "NeuTra-lizing bad geometry in
 * Hamiltonian Monte Carlo using neural transport", 2019). The flow's parameters gather no gradients.
 *
 * @throws ValueError, ShapeError for wrong arguments, then and when it is evaluated.
 * @example const chains = await hamiltonianMonteCarlo(latentEnergy(flow, energy), { start: z, samples: 1000, seed: 1 });
 */
export function latentEnergy(flow: Flow, energy: Energy, context?: Tensor): Energy {
  requireFlow('latentEnergy', flow);
  requireEnergy('latentEnergy', energy);
  const { network } = flow;
  const own = networkContext(flow, context);
  return {
    value: (z) =>
      evaluated(() => {
        const { x, logdet } = network.inverse(z, own);
        return sub(energyAt('latentEnergy', energy, x), logdet);
      }),
    withGradient: (z) =>
      evaluated(() => {
        const { x, logdet } = network.inverse(z, own);
        const { value, gradient } = slopeAt('latentEnergy', energy, x);
        const options = { dlogdet: full([z.shape[0]!], -1, z), context: own };
        const back = () => network.backwardInverse(x, gradient, options);
        return { value: sub(value, logdet), gradient: withoutGradients(network, back).dy };
      }),
  };
}

/**
 * The energy of the latent z where the flow is the prior of x = f⁻¹(z), and a misfit Φ(x), minus a log-likelihood,
 * brings what it does not know, such as physics: Φ(f⁻¹(z)) − log p(z), with the base p. The posterior of x is that of z
 * sent through f⁻¹.
 *
 * A flow that is fitted to it by `reverseKL` refines the first one, for one observation, while that stays as it is
 * (Yin, Orozco, Louboutin and Herrmann, "WISER: multimodal variational inference for full-waveform inversion without
 * dimensionality reduction", 2024; Siahkoohi et al., "Reliable amortized variational inference with physics-based latent
 * distribution correction", 2023). `hamiltonianMonteCarlo` samples it.
 *
 * @throws ValueError, ShapeError for wrong arguments, then and when it is evaluated.
 * @example
 * const posterior = latentPosterior(flow, misfit, observation);
 * const loss = reverseKL(correction, posterior, { shape: [64, 2], seed: random }); // another Flow, of z
 * const z = correction.sample({ shape: [1000, 2], seed: 1 });
 * const { x } = flow.network.inverse(z, observation);
 */
export function latentPosterior(flow: Flow, misfit: Energy, context?: Tensor): Energy {
  requireFlow('latentPosterior', flow);
  requireEnergy('latentPosterior', misfit);
  const { network, base } = flow;
  const [own, baseOwn] = [networkContext(flow, context), baseContext(flow, context)];
  return {
    value: (z) =>
      evaluated(() => {
        const { x } = network.inverse(z, own);
        return sub(energyAt('latentPosterior', misfit, x), base.logProb(z, baseOwn));
      }),
    withGradient: (z) =>
      evaluated(() => {
        const { x } = network.inverse(z, own);
        const { value, gradient } = slopeAt('latentPosterior', misfit, x);
        return withoutGradients(flow, () => {
          const { dy } = network.backwardInverse(x, gradient, { context: own });
          const prior = base.backward(z, full([z.shape[0]!], -1, z), baseOwn);
          return { value: sub(value, prior.logProb), gradient: add(dy, prior.dz) };
        });
      }),
  };
}

function evaluated<T>(fn: () => T): T {
  return outsideSteps(() => tidy(fn));
}
