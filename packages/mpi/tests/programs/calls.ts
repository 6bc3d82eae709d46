/**
 * Every call of a communicator with results that are known, right ones and wrong ones; anything else is thrown. With an
 * argument, rank 1 ends early.
 */
import { deepStrictEqual, strictEqual, throws } from 'node:assert/strict';
import { openMpi } from '@invnet/mpi';
import { requireSame, shareOf } from '@invnet/train';

const communicator = openMpi();
const { rank, size } = communicator;
strictEqual(openMpi(), communicator);

/** Numbers whose sum depends on the order in which they are added, unless it is exact. */
const number = (r: number, i: number) => Math.fround(Math.sin(1.7 * i + r) * 10 ** ((i + r) % 5));
const inOrder = (i: number) => {
  let sum = 0;
  for (let r = 0; r < size; r++) sum += number(r, i);
  return sum;
};
for (const Numbers of [Float32Array, Float64Array]) {
  for (const length of [0, 1, 6, 7, 1000, 5001, 40_003]) {
    const own = new Numbers(length).map((_, i) => number(rank, i));
    communicator.sum(own);
    deepStrictEqual(
      own,
      new Numbers(length).map((_, i) => inOrder(i)),
    );
  }
}

// Many at once, of all sizes, with other calls between them, and ended in another order.
const many = [3, 9000, 100, 30_000, 0, 8000].map((length) =>
  new Float32Array(length).map((_, i) => number(rank, i)),
);
const pending = many.map((numbers) => communicator.startSum(numbers));
while (!pending[2]!.test());
const between = Float64Array.of(rank);
communicator.sum(between);
strictEqual(between[0], (size * (size - 1)) / 2);
for (const each of pending.reverse()) each.wait();
for (const numbers of many) {
  deepStrictEqual(
    numbers,
    new Float32Array(numbers.length).map((_, i) => inOrder(i)),
  );
}

const [left, right] = [(rank + size - 1) % size, (rank + 1) % size];
const [fromRight, fromLeft] = [new Float32Array(20_000), new Float64Array(2)];
communicator.exchange({
  send: [
    { rank: left, numbers: new Float32Array(20_000).fill(rank) },
    { rank: right, numbers: Float64Array.of(rank, -1) },
  ],
  receive: [
    { rank: right, numbers: fromRight },
    { rank: left, numbers: fromLeft },
  ],
});
deepStrictEqual([fromRight.at(-1), ...fromLeft], [right, left, -1]);

const everybody = Array.from({ length: size }, (_, r) => ({ r, text: 'ü'.repeat(r) }));
deepStrictEqual(communicator.gather({ r: rank, text: 'ü'.repeat(rank) }), everybody);
const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => i);
deepStrictEqual(communicator.broadcast(rank === 0 ? bytes : new Uint8Array()), bytes);
communicator.barrier();
requireSame(communicator, 'The data', { images: 60_000 });
deepStrictEqual(shareOf(communicator, 4 * size), { first: 4 * rank, count: 4 });

// Ranks that got out of step are told so, all of them, and go on in step.
const other = size - 1;
const fails = (expected: RegExp, wrong: () => void) => {
  throws(wrong, { name: 'CommunicatorError', message: expected });
};
if (size > 1) {
  const nine = () => communicator.sum(new Float32Array(9));
  const late = rank === other ? () => communicator.barrier() : nine;
  fails(new RegExp(`rank 0 calls sum.. of size 36, and rank ${other} calls barrier`), late);
  const longer = () => communicator.sum(new Float32Array(9 + (rank === other ? 1 : 0)));
  fails(/rank 0 calls sum.. of size 36, and rank \d calls sum.. of size 40/, longer);
  const fewer = () =>
    requireSame(communicator, 'The data', { images: 9 - (rank === other ? 1 : 0) });
  fails(new RegExp(`'images' is 9 in rank 0 and 8 in rank ${other}`), fewer);
  throws(() => shareOf(communicator, size - 1), /ranks share \d samples; expected at least one/);
  throws(() => shareOf(communicator, size + 1), /so that all have as many/);
  const short = [{ rank: other, numbers: new Float32Array(3) }];
  const long = [{ rank: 0, numbers: new Float32Array(4) }];
  const exchange = () =>
    communicator.exchange({ send: rank === 0 ? short : [], receive: rank === other ? long : [] });
  if (rank === other) fails(/rank 0 sent 12 bytes to rank \d; expected 16/, exchange);
  else exchange();
}

if (process.argv[2] === 'abort' && rank === 1) communicator.abort('has had enough');
if (process.argv[2] === 'no close' && rank === 1) process.exit(0);
console.log(`rank ${rank} of ${size} is done`);
communicator.close();
if (size > 1) fails(/before close/, () => communicator.barrier());
