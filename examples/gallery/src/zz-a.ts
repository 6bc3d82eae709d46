import * as L from '@invnet/layers';
import * as N from '@invnet/networks';
import * as F from '@invnet/flows';
import * as TR from '@invnet/train';
import * as T from '@invnet/tensor';
const { RandomStream, setBackend, memory, zeros, ones, tensor, affine, add, mul, InvNetError } = T;
await setBackend('reference', { dtype: 'float64' });
async function t(name: string, f: () => unknown) {
  try { const r = await f(); console.log(name, '->', r); }
  catch (e: any) { console.log(name, '!!', e instanceof InvNetError ? 'OK' : 'RAW', e.name, String(e.message).slice(0, 300)); }
}
const r = new RandomStream(1);
// 1 replacePart kills original's custom block parameters
await t('replacePart custom block', async () => {
  const w = new L.Parameter('w', ones([1]));
  const parts = L.named('p', { parameters: [w], forward: (x: any) => ({ y: mul(x, w.data), saved: { x } }), backward: (dy: any) => ({ dx: mul(dy, w.data) }) });
  const net = new L.ChannelHalves(new L.AdditiveCoupling(new L.CustomBlock(parts as any)), [1, 1]);
  const other = L.replacePart(net, 'conditioner', new L.DenseBlock({ inChannels: 1, hidden: 2, outChannels: 1 }));
  void other;
  return [w.data.disposed, await net.forward(r.normal([2, 2])).y.data()];
});
await t('copy.dispose custom block', async () => {
  const w = new L.Parameter('w', ones([1]));
  const parts = L.named('p', { parameters: [w], forward: (x: any) => ({ y: mul(x, w.data), saved: { x } }), backward: (dy: any) => ({ dx: mul(dy, w.data) }) });
  const net = new L.ChannelHalves(new L.AdditiveCoupling(new L.CustomBlock(parts as any)), [1, 1]);
  L.copyModule(net).dispose();
  return w.data.disposed;
});
await t('loop conditioner fixed', async () => {
  const g = new L.DenseBlock({ inChannels: 1, hidden: 2, outChannels: 2 });
  const op = { forward: (u: any) => affine(u, 2), adjoint: (u: any) => affine(u, 2) };
  const net = new N.UnrolledLoop({ memoryChannels: 2, iterations: 1, operator: op, ndims: 0, conditioner: () => g });
  console.log([...L.placesIn(net)].map((p) => p.path + ':' + p.module.type).join(' '));
  const c = L.replacePart(net, '0.coupling.coupling.conditioner', new L.DenseBlock({ inChannels: 1, hidden: 3, outChannels: 2 }));
  return g.parameters[0]!.data.disposed;
});
// shared named operator parts
await t('shared parts of two custom blocks', async () => {
  const make = () => { const w = new L.Parameter('w', ones([1])); return { parameters: [w], forward: (x: any) => ({ y: mul(x, w.data), saved: { x } }), backward: (dy: any) => ({ dx: mul(dy, w.data) }) } as any; };
  const parts = L.named('p', make());
  const net = L.compose(new L.ChannelHalves(new L.AdditiveCoupling(new L.CustomBlock(parts)), [1, 1]), new L.ChannelHalves(new L.AdditiveCoupling(new L.CustomBlock(parts)), [1, 1]));
  const b = await TR.modelBytes(net);
  return TR.modelFromBytes(b, { modules: L.layerCatalogue, named: { p: make } }).type;
});
// plausible
await t('sigmoid high 1e8', async () => {
  const net = new L.Elementwise(L.sigmoid({ low: 0, high: 1e8 }));
  return TR.modelFromBytes(await TR.modelBytes(net), { modules: L.layerCatalogue }).type;
});
class Std extends L.Bijection {
  static readonly type: string = 'Std';
  readonly means: readonly number[];
  constructor({ means }: { means: readonly number[] }) { super(); this.means = means; }
  get options() { return { means: this.means }; }
  protected apply(x: T.Tensor) { return { y: add(x, tensor([...this.means].map(Number))) }; }
  protected invert(y: T.Tensor) { return { x: T.sub(y, tensor([...this.means].map(Number))) }; }
  protected applyBackward(y: T.Tensor, dy: T.Tensor) { return { ...this.invert(y), dx: dy }; }
  protected invertBackward(x: T.Tensor, dx: T.Tensor) { return { ...this.apply(x), dy: dx }; }
  protected applyTangent(x: T.Tensor, t: L.Tangent) { return { ...this.apply(x), dy: t.x }; }
  protected invertTangent(x: T.Tensor, t: L.Tangent) { return { ...this.invert(x), dx: t.x }; }
}
await t('Std means', async () => {
  const net = new Std({ means: [120.5, 130.1, 110.9, 450] });
  return TR.modelFromBytes(await TR.modelBytes(net), { modules: [Std, ...L.layerCatalogue] }).type;
});
await t('Flattened 4096^2', async () => {
  const net = new L.Flattened(new L.Parallel(new L.Identity(), new L.Identity()), [[3, 4096, 4096], [1]]);
  return TR.modelFromBytes(await TR.modelBytes(net), { modules: L.layerCatalogue }).type;
});
// optimizer/ prefix
await t('Sequential name optimizer/', async () => {
  const net = new L.Sequential({ 'optimizer/x': new L.ActNorm({ channels: 2 }) });
  return TR.modelFromBytes(await TR.modelBytes(net), { modules: L.layerCatalogue }).type;
});
await t('Sequential.at toString', async () => typeof new L.Sequential([new L.Identity()]).at('toString'));
await t('Sequential numeric names', async () => new L.Sequential({ '10': new L.Identity(), '9': new L.ActNorm({ channels: 2 }) }).names);
await t('Parallel {2,1}', async () => { const p = new L.Parallel({ '2': new L.Identity(), '1': new L.ActNorm({ channels: 2 }) }); return p.first.type; });
for (const key of ['a.b', '$type', '$ref', '', '__proto__', 'constructor', 'x y', '$parts', 'toString']) {
  await t(`Parallel ${key}`, async () => {
    const net = new L.Parallel(Object.fromEntries([[key, new L.ActNorm({ channels: 2 })], ['z', new L.ActNorm({ channels: 2 })]]));
    return TR.modelFromBytes(await TR.modelBytes(net), { modules: L.layerCatalogue }).parameters.map((p) => p.name).join();
  });
}
for (const key of ['__proto__', 'constructor', 'toString', 'x y', 'é😀', '10', 'inner', 'a/b', '*', 'hasOwnProperty', '\n', '__metadata__']) {
  await t(`Sequential ${key}`, async () => {
    const net = new L.Sequential(Object.fromEntries([[key, new L.ActNorm({ channels: 2 })], ['z', new L.Conv1x1({ channels: 2 })]]));
    const c = L.copyModule(net);
    const b = await TR.modelBytes(net);
    const l = TR.modelFromBytes(b, { modules: L.layerCatalogue });
    const b2 = await TR.modelBytes(l);
    return [l.parameters.map((p) => p.name).join(), Buffer.compare(b, b2), c.names.join(), c.parameters.length];
  });
}
for (const key of ['__proto__', 'constructor', 'toString', '', 'a b', 'invnet', '__metadata__']) {
  await t(`metadata ${key}`, async () => {
    const b = await TR.modelBytes(new L.Identity(), Object.fromEntries([[key, 'v']]));
    return Object.entries(TR.modelInfo(b).metadata);
  });
}
