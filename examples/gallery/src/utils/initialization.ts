/** Initialization by data: on purpose and once; sampling and probing a network never do it. */
import { initialize, isInitialized, resetInitialization } from '@invnet/layers';
import { Glow } from '@invnet/networks';
import { affine, RandomStream, sumSquares } from '@invnet/tensor';

const random = new RandomStream(1);
const net = new Glow({ channels: 1, hidden: 8, scales: 2, steps: 2, random });
const batch = affine(random.normal([32, 1, 16, 16]), 5, 3);

async function tell(when: string): Promise<void> {
  const { y } = net.forward(batch);
  const [squares] = await sumSquares(y).data();
  const size = (squares! / y.size).toFixed(2);
  console.log(`${when}: initialized ${isInitialized(net)}, mean square of the result ${size}`);
}

await tell('at first');
await initialize(net, batch);
await tell('on a batch');
await initialize(net, random.normal(batch.shape));
await tell('on another, which changes nothing');
resetInitialization(net);
await tell('reset');
