/** Couplings: Glow's on the halves of the channels, RealNVP's on a pair, and with a context. */
import { BasicCoupling, ConditionalGlowCoupling, GlowCoupling } from '@invnet/layers';
import { full, RandomStream } from '@invnet/tensor';
import { report } from '../check.ts';

const random = new RandomStream(1);
const x = random.normal([4, 6, 8, 8]);

const glow = new GlowCoupling({ channels: 6, hidden: 16, random });
const { y, logdet } = glow.forward(x);
await report('GlowCoupling, inverse', glow.inverse(y).x, x);
console.log('logdet:', await logdet.data());

const basic = new BasicCoupling({ channels: [2, 3], hidden: 16, random });
const pair = [random.normal([4, 2, 8, 8]), random.normal([4, 3, 8, 8])] as const;
await report('BasicCoupling, inverse', basic.inverse(basic.forward(pair).y).x[1], pair[1]);

const conditional = new ConditionalGlowCoupling({ channels: 6, contextChannels: 2, hidden: 16 });
const context = random.normal([4, 2, 8, 8]);
const { y: z } = conditional.forward(x, context);
const back = conditional.backward(z, z, { dlogdet: full([4], -1), context });
await report('ConditionalGlowCoupling, backward', back.x, x);
console.log('gradient of the context:', back.dcontext?.shape);
