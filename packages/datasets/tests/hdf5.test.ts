import { gunzipSync } from 'node:zlib';
import { ValueError } from '@invnet/tensor';
import { describe, expect, it } from 'vitest';
import { Hdf5FormatError, parseHdf5 } from '../src/hdf5.ts';
import { expectTypedErrors, range } from './damage.ts';

/** By h5py 3.16, with libver 'latest'. */
const file = gunzipSync(
  Buffer.from(
    'H4sIAAAAAAACA+1Zb2gcRRT/ze5tbrN7l9wll+SSpvSSfOmHKFVCUdHmktxtTw1JyKU1/kG8ptcmWJM0d20O0TYtilTB0g9CFKmUCrXgh0KlFk' +
      'Qa/2AsChX9oiKkKoI2QguliH/j7OzM3ubughKF5mB/x+3OvnmzM+83772FN0cSMcOvNWmyqkJgieNiq/W8ict3Nz71bX8iNighp0kgQCAAtG+w' +
      'Oo9xpboaePKvEPBtBmQoCJmd4xPZNBoJAR3O/oSNVCHRq0L/Cb4W2bxocEB/te0MWwIBIR2AJBMiwaFN4eH3leSyDySgiv4AFGqLrKk1tIdAXW' +
      '4yZrFmUfv55QmbixC1hxAiF9gsh0CCLZ3crCg6dHQs0U6nzZu4zWHx4jMoOxz45Ye3uWtKNU4fFrActiJoOlvF45nJ1Ei6T5DU878sobKvN7KS' +
      'axa64kpyeTPIdglsu6aAYGQD99oIGlQ0HKStMXhKidmG6no9iCSZplqeTNjP1FVrmY6HrklWZe0hHgxmBO/n7ThfxOpilckV/orn9w6cNroSMZ' +
      'CQJmx8lyeKXaPbP+zvSdy/QqJoMyeX4GOTw4xT4buSgyht4bVFm2yPRaQgLyDIK3b7MailxM5oSPAwCIh9Pb7Wff/qw+cWC/NAkYOZOQ95Lp0W' +
      'DxdafB5li/SP2qUivzBz4D/s+ijnwP4IzqHscfbjo+1GMhnH1808RKcJjpiNF/tevmGrEUqSTKNNQQW8lIBK+sXVafz5UYVq6hRB1KCWJoM61K' +
      'MBnZetUReugdNpYWtPfy9xeBHhcpERxsbH01MOhxQf42w6l3VmQKE/sS/L9AXeqIYLFy5cuHDhwoULFy5cuHDhYk3gWidvRIlTbD/4oqt4aal6' +
      'TqmKJKvnSFY9ZzJijbVrWnPlT25b2q+tjjheFCQF22EVxqrtgxBNgWaWWZyFsRlOpKjblOPhwOtfzmbwn5grKqe2gAxLFpNmiVq4oNHVm4xjaH' +
      'BbnMqcNB4upPFkWTD36wtHzxmDiQF42doD+R5Rr5/mziRqjEVHGxyV/3JGj2Ok9eoIvV+MCNno958+0j2UiEEx9XQq2bmxfb2YQ8yytWNunZGk' +
      'WhDrK/T9/HwDyCFi9yx4LXkTlt8X+oyPuod6DSjX7/uKbjQV+UHu1HVMsub5xbvbcZeZ4hC/mn4ALUx6IHx8GknaDOKlD24cxNNM4Xr/c8ewkz' +
      'W3Ja9cwq2seerZN39DHWsO/3TbvPsxWXMwT62s08VW7u1v8bvvFrAaOjsyeyKVK3n4lI+Izzp9W6wzNh8dgj1jmezyk64SKYcUPKei8dNGV6wb' +
      'RJzlPcODpM2x5FNc1uoMRX/t7zeNQ3Ot4siQmbKFIPfoyGNRye+r8uvhn9fP4MHwxr0zXYdSS3/96a0C9s+r9zCVGbk67An5mpubD+He2fdaTq' +
      'TeP+z30i/7K026YiQoF2JfTPzx3RUzhefO2gRKO9IX7HRAdn8i2e0n3/HYSvvumFfEQ0VmJLUnNfVFha2ZORm2NXfd/k2j3bGjfp0bITcRfwOw' +
      '2AzHySIAAA==',
    'base64',
  ),
);

describe('parseHdf5', () => {
  it.each([
    ['x', [2, 3, 4], Int16Array.from({ length: 24 }, (_, i) => i)],
    ['be', [3], Float64Array.of(0.5, -1, 2)],
    ['u8', [2], BigUint64Array.of(1n, 2n ** 40n)],
    ['b', [2], Int8Array.of(1, 0)],
    ['scalar', [], Float64Array.of(3.5)],
    ['z', [2], Float64Array.of(1, 2)],
  ])('reads %s', async (dataset, shape, data) => {
    const attributes = { max: 0.25, note: 'outer' };
    expect(await parseHdf5(file, { dataset })).toEqual({ shape, data, attributes });
  });

  it('reads complex numbers, chunked and compressed, with attributes of all groups around', async () => {
    const data = Float32Array.from({ length: 24 }, (_, i) => (i % 2 ? -i + 1 : 2 * i) / 4);
    expect(await parseHdf5(file, { dataset: 'g/kspace' })).toEqual({
      shape: [2, 2, 3, 2],
      data,
      attributes: { max: 0.25, note: 'inner', n: 3 },
    });
  });

  it('refuses what is not there, what is no numbers, and other files', async () => {
    const read = (dataset: string, bytes: Uint8Array = file) =>
      parseHdf5(bytes, { dataset, name: 'x.h5' });
    await expect(read('y')).rejects.toThrow(Hdf5FormatError);
    await expect(read('y')).rejects.toThrow(
      /^parseHdf5: x\.h5 has no data set 'y'; it has .*g\/kspace, .*x/,
    );
    await expect(read('g')).rejects.toThrow(/has no data set 'g'/);
    await expect(read('s')).rejects.toThrow(/something else in 's'.* not type 3 of HDF5/);
    await expect(read('f2')).rejects.toThrow(/something else in 'f2'/);
    await expect(read('x', new Uint8Array(0))).rejects.toThrow(/truncated or damaged, or no HDF5/);
    await expect(read('x', Buffer.from('a text'))).rejects.toThrow(Hdf5FormatError);
    await expect(read('')).rejects.toThrow(ValueError);
  });

  it('gives typed errors, or numbers, for all that is cut short or damaged', async () => {
    for (const [i, dataset] of ['x', 'g/kspace', 'be'].entries()) {
      await expectTypedErrors(file, (bytes) => parseHdf5(bytes, { dataset }), {
        lengths: range(i, file.length, 397),
        places: range(i, file.length, 97),
      });
    }
    // What damage leaves behind in the library does not reach the next file.
    expect((await parseHdf5(file, { dataset: 'scalar' })).data).toEqual(Float64Array.of(3.5));
  });
});
