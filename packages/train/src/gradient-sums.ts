/**
 * Gradients summed over ranks, in a few large buckets, while backward still goes on. A parameter's gradient is final
 * when as much was added to it as in the first step; a bucket is sent when all gradients in it are, and in the same order
 * on all ranks, as sums must be. A step in which that turns out to be wrong, since its network took another way, is
 * summed once more behind its backward, and the next one begins anew.
 *
 * A bucket is a copy: a view of a gradient lasts for a call, a sum that is under way for many. Two copies of all
 * gradients are held outside of the backend, this one and the sums' own.
 */
import type { Parameter } from '@invnet/layers';
import { type NumericArray, withNumbers, zerosLike } from '@invnet/tensor';
import type { Communicator, PendingSum } from './communicator.ts';

/** Gradients that are summed in one go, one behind the other. */
interface Bucket {
  readonly parameters: readonly Parameter[];
  readonly numbers: NumericArray;
  /** How many of its gradients are not final. */
  missing: number;
  pending: PendingSum | undefined;
}

/** A parameter, and how its gradient grows. */
interface Growth {
  readonly parameter: Parameter;
  /** How often something was added in this step, and which of all additions was the last. */
  count: number;
  last: number;
  /** How often it was in the step that buckets were made in. */
  expected: number;
  bucket: Bucket | undefined;
}

/** There are four buckets, unless those were very small or very large. */
const bucketCount = 4;
const [leastBytes, mostBytes] = [2 ** 17, 2 ** 23];

/** The gradients of some parameters, step after step. */
export class GradientSums {
  readonly #communicator: Communicator;
  readonly #growths: readonly Growth[];
  #buckets: readonly Bucket[] = [];
  /** Of the buckets, how many are sent. */
  #sent = 0;
  /** How many additions there were in this step. */
  #additions = 0;
  /** Were gradients added that the buckets do not have? */
  #astray = true;

  constructor(communicator: Communicator, parameters: readonly Parameter[]) {
    this.#communicator = communicator;
    this.#growths = parameters.map((parameter) => {
      return { parameter, count: 0, last: 0, expected: 0, bucket: undefined };
    });
  }

  /** Begins a step, in which no parameter has a gradient. */
  begin(): void {
    this.#additions = 0;
    this.#rewind();
    for (const growth of this.#growths) {
      growth.count = 0;
      growth.parameter.watchGrad(() => this.#added(growth));
    }
  }

  /**
   * Ends it: gradients are the means over all ranks, and `numbers`, which go along, the sums.
   */
  complete(numbers: Float64Array): void {
    this.dispose();
    const all = Float64Array.of(...numbers, this.#astray || this.#anyFrozen() ? 1 : 0);
    // In the first step there are no buckets yet.
    this.#sumBuckets();
    this.#communicator.sum(all);
    numbers.set(all.subarray(0, numbers.length));
    if (all.at(-1)! > 0) {
      this.#makeBuckets();
      this.#sumBuckets();
    }
    this.#takeMeans();
  }

  /** Listens to the parameters no more. */
  dispose(): void {
    for (const { parameter } of this.#growths) parameter.watchGrad(undefined);
  }

  #added(growth: Growth): void {
    const { bucket } = growth;
    growth.count += 1;
    this.#additions += 1;
    growth.last = this.#additions;
    if (!bucket || bucket.pending) this.#astray = true;
    else if (growth.count === growth.expected) {
      bucket.missing -= 1;
      while (this.#buckets[this.#sent]?.missing === 0) this.#send(this.#buckets[this.#sent]!);
    }
    // Sums go on when they are asked.
    this.#buckets[this.#sent - 1]?.pending?.test();
  }

  #anyFrozen(): boolean {
    return this.#growths.some(({ parameter, bucket }) => bucket && parameter.frozen);
  }

  #send(bucket: Bucket): void {
    let at = 0;
    for (const { grad, size } of bucket.parameters) {
      if (!grad) bucket.numbers.fill(0, at, at + size);
      else withNumbers(grad, (own) => bucket.numbers.set(own, at));
      at += size;
    }
    bucket.pending = this.#communicator.startSum(bucket.numbers);
    this.#sent += 1;
  }

  #sumBuckets(): void {
    for (const bucket of this.#buckets.slice(this.#sent)) this.#send(bucket);
    for (const bucket of this.#buckets) bucket.pending!.wait();
  }

  #rewind(): void {
    this.#sent = 0;
    for (const bucket of this.#buckets) {
      bucket.pending = undefined;
      bucket.missing = 0;
    }
    for (const { expected, bucket } of this.#growths) {
      if (bucket && expected > 0) bucket.missing += 1;
    }
  }

  /** Agrees on which gradients there are, on any rank, and on the order in which rank 0 got them. */
  #makeBuckets(): void {
    const growths = this.#growths;
    const there = Float64Array.from(growths, ({ parameter: p }) => (p.grad && !p.frozen ? 1 : 0));
    this.#communicator.sum(there);
    const never = this.#additions + 1;
    const places = Float64Array.from(growths, ({ count, last }) =>
      this.#communicator.rank === 0 ? (count > 0 ? last : never) : 0,
    );
    this.#communicator.sum(places);
    const order = growths
      .map((growth, i) => ({ growth, place: places[i]!, there: there[i]! > 0 }))
      .filter((entry) => entry.there)
      .sort((a, b) => a.place - b.place)
      .map(({ growth }) => growth);
    for (const growth of growths) {
      growth.expected = growth.count;
      growth.bucket = undefined;
    }
    this.#buckets = bucketsOf(order);
    this.#astray = false;
    this.#rewind();
  }

  #takeMeans(): void {
    const { size } = this.#communicator;
    for (const { parameters, numbers } of this.#buckets) {
      let at = 0;
      for (const p of parameters) {
        if (!p.grad) p.attachGrad(zerosLike(p.data));
        const sums = numbers.subarray(at, at + p.size);
        withNumbers(p.grad!, (mean) => {
          for (let i = 0; i < mean.length; i++) mean[i] = sums[i]! / size;
        });
        at += p.size;
      }
    }
  }
}

/** Puts growths, in their order, into buckets. */
function bucketsOf(growths: readonly Growth[]): Bucket[] {
  const [first] = growths;
  if (!first) return [];
  const Numbers = first.parameter.data.dtype === 'float64' ? Float64Array : Float32Array;
  const bytes = Numbers.BYTES_PER_ELEMENT;
  const sizeOf = (list: readonly Growth[]) =>
    list.reduce((sum, { parameter }) => sum + parameter.size, 0);
  const share = (bytes * sizeOf(growths)) / bucketCount;
  const full = Math.min(mostBytes, Math.max(leastBytes, share)) / bytes;
  const lists: Growth[][] = [];
  let size = full;
  for (const growth of growths) {
    if (size >= full) {
      lists.push([]);
      size = 0;
    }
    lists.at(-1)!.push(growth);
    size += growth.parameter.size;
  }
  return lists.map((list) => {
    const parameters = list.map(({ parameter }) => parameter);
    const numbers = new Numbers(sizeOf(list));
    const bucket: Bucket = { parameters, numbers, missing: 0, pending: undefined };
    for (const growth of list) growth.bucket = bucket;
    return bucket;
  });
}
