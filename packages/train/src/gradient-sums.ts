/**
 * Gradients summed over ranks, in a few large buckets, while backward still goes on. A parameter's gradient is final
 * when as much was added to it as in the first step; a bucket is sent when all gradients in it are, and in the same order
 * on all ranks, as sums must be. A step in which that turns out to be wrong, since its network took another way, is
 * summed once more behind its backward, and the next one begins anew.
 *
 * A bucket is a copy: a view of a gradient lasts for a call, a sum that is under way for many. Two copies of all
 * gradients are held outside of the backend, this one and the sums' own.
 */
import { type Parameter, ParameterMap } from '@invnet/layers';
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

/** There are four buckets, unless those were very small or very large. */
const bucketCount = 4;
const [leastBytes, mostBytes] = [2 ** 17, 2 ** 23];

/** The gradients of some parameters, step after step. */
export class GradientSums {
  readonly #communicator: Communicator;
  readonly #parameters: readonly Parameter[];
  /** How often something was added in this step, in the order of the last times. */
  #counts = new ParameterMap<number>();
  /** The same in the step that buckets were made in. */
  #expected = new ParameterMap<number>();
  #buckets: readonly Bucket[] = [];
  readonly #bucketOf = new ParameterMap<Bucket>();
  /** Of the buckets, how many are sent. */
  #sent = 0;
  /** Were gradients added that the buckets do not have? */
  #astray = true;

  constructor(communicator: Communicator, parameters: readonly Parameter[]) {
    this.#communicator = communicator;
    this.#parameters = parameters;
  }

  /** Begins a step, in which no parameter has a gradient. */
  begin(): void {
    this.#counts.clear();
    this.#rewind();
    for (const p of this.#parameters) p.watchGrad(() => this.#added(p));
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
    for (const p of this.#parameters) p.watchGrad(undefined);
  }

  #added(p: Parameter): void {
    const count = (this.#counts.get(p) ?? 0) + 1;
    this.#counts.delete(p);
    this.#counts.set(p, count);
    const bucket = this.#bucketOf.get(p);
    if (!bucket || bucket.pending) this.#astray = true;
    else if (count === this.#expected.get(p)) {
      bucket.missing -= 1;
      while (this.#buckets[this.#sent]?.missing === 0) this.#send(this.#buckets[this.#sent]!);
    }
    // Sums go on when they are asked.
    this.#buckets[this.#sent - 1]?.pending?.test();
  }

  #anyFrozen(): boolean {
    return this.#parameters.some((p) => p.frozen && this.#bucketOf.has(p));
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
      bucket.missing = bucket.parameters.filter((p) => this.#expected.has(p)).length;
    }
  }

  /** Agrees on which gradients there are, on any rank, and on the order in which rank 0 got them. */
  #makeBuckets(): void {
    const parameters = this.#parameters;
    const there = Float64Array.from(parameters, (p) => (p.grad && !p.frozen ? 1 : 0));
    this.#communicator.sum(there);
    const place = new ParameterMap([...this.#counts.keys()].map((p, i) => [p, i]));
    const last = place.size;
    const places = Float64Array.from(parameters, (p) =>
      this.#communicator.rank === 0 ? (place.get(p) ?? last) : 0,
    );
    this.#communicator.sum(places);
    const order = parameters
      .map((p, i) => ({ p, place: places[i]!, there: there[i]! > 0 }))
      .filter((entry) => entry.there)
      .sort((a, b) => a.place - b.place)
      .map(({ p }) => p);
    this.#expected = new ParameterMap(this.#counts);
    this.#bucketOf.clear();
    this.#buckets = bucketsOf(order);
    for (const bucket of this.#buckets) {
      for (const p of bucket.parameters) this.#bucketOf.set(p, bucket);
    }
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

/** Parameters in their order, parted into buckets. */
function bucketsOf(parameters: readonly Parameter[]): Bucket[] {
  const [first] = parameters;
  if (!first) return [];
  const Numbers = first.data.dtype === 'float64' ? Float64Array : Float32Array;
  const total = parameters.reduce((sum, p) => sum + p.size, 0) * Numbers.BYTES_PER_ELEMENT;
  const full = Math.min(mostBytes, Math.max(leastBytes, total / bucketCount));
  const lists: Parameter[][] = [];
  let bytes = full;
  for (const p of parameters) {
    if (bytes >= full) {
      lists.push([]);
      bytes = 0;
    }
    lists.at(-1)!.push(p);
    bytes += p.size * Numbers.BYTES_PER_ELEMENT;
  }
  return lists.map((list) => ({
    parameters: list,
    numbers: new Numbers(list.reduce((sum, p) => sum + p.size, 0)),
    missing: list.length,
    pending: undefined,
  }));
}
