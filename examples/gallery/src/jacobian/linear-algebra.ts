/** Jacobians as linear operators: products, adjoints, norms, and a least-squares solution. */
import { assertAdjoint, composeOperators, jacobian, lsqr, operatorNorm } from '@invnet/jvp';
import { initialize } from '@invnet/layers';
import { Glow } from '@invnet/networks';
import { RandomStream, setBackend } from '@invnet/tensor';

await setBackend('reference', { dtype: 'float64' });
const random = new RandomStream(1);
const net = new Glow({ channels: 1, hidden: 8, scales: 1, steps: 2, random });
const x = random.normal([1, 1, 8, 8]);
await initialize(net, x);

const J = jacobian(net, x, { with: 'input' });
await assertAdjoint(J, { tolerance: 1e-11 });
console.log('‖J‖ =', await operatorNorm(J));
console.log('‖JᵀJ‖ =', await operatorNorm(composeOperators(J.adjoint, J)));

const Jp = jacobian(net, x, { with: 'parameters' });
const { iteration, residual } = await lsqr(Jp, random.normal(x.shape), { tolerance: 1e-3 });
console.log(`lsqr: ${iteration} iterations, residual ${residual.toExponential(1)}`);
