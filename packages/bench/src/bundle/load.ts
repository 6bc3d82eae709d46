/**
 * A page that opens the file of a Glow and shows samples of it: it passes the types that such a file has,
 * and no others are loaded. `bench bundle` weighs it.
 */
import { Flow, StandardNormal } from '@invnet/flows';
import { ShuffleSqueeze, sigmoid } from '@invnet/layers';
import { Glow } from '@invnet/networks';
import { modelFromBytes } from '@invnet/train';

const modules = [Flow, StandardNormal, Glow, ShuffleSqueeze, { type: 'sigmoid', build: sigmoid }];
const response = await fetch('model.safetensors');
const flow = modelFromBytes(await response.bytes(), { modules, as: Flow });
const x = flow.sample({ shape: [16, 1, 28, 28], seed: 1 });
document.title = String(await x.data());
