/**
 * The classifier of `c2st`: scikit-learn's `MLPClassifier` of two hidden layers, with the constants of the benchmark
 * (Lueckmann et al., 2021), so that accuracies compare. Mathematics: docs/math/metrics/two-samples.md
 *
 * Left out: all options. A batch is one image whose positions are samples, [1, C, B], so a layer is one convolution
 * with bias and ReLU behind it.
 */
import {
  type AdamTensors,
  accumulate,
  adamUpdate,
  concat,
  conv,
  convFilterGrad,
  convInputGrad,
  keep,
  mul,
  type RandomStream,
  type Shape,
  sigmoid,
  softplus,
  sub,
  sum,
  sumPerChannel,
  sumSquares,
  type Tensor,
  tensor,
  tidy,
  zeros,
  zerosLike,
} from '@invnet/tensor';

/** Rows of numbers with a label, 0 or 1, each. */
export interface LabelledRows {
  readonly columns: number;
  readonly data: Float64Array;
  readonly labels: Uint8Array;
}

/** What training has come to. */
export interface PerceptronFit {
  readonly epochs: number;
  /** Mean of the last epoch. */
  readonly loss: number;
}

const penalty = 1e-4;
const adam = { learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
const mostEpochs = 10_000;
/** Epochs in a row that may fail to bring the loss down by the tolerance. */
const patience = 10;
const tolerance = 1e-4;

/** A perceptron with 10 units a column in two hidden layers, whose output is the logit of label 1. */
export class Perceptron {
  readonly #random: RandomStream;
  readonly #layers: readonly Layer[];

  constructor({ columns, random }: { readonly columns: number; readonly random: RandomStream }) {
    this.#random = random;
    const widths = [columns, 10 * columns, 10 * columns, 1];
    this.#layers = tidy(() => widths.slice(1).map((out, i) => newLayer(widths[i]!, out, random)));
    for (const t of this.#tensors) keep(t);
  }

  /** Trains until the loss no longer falls. @param check - Called after each epoch; what it throws ends training. */
  async fit(rows: LabelledRows, check: () => Promise<void>): Promise<PerceptronFit> {
    const count = rows.labels.length;
    const size = Math.min(200, count);
    let [best, failures, step] = [Number.POSITIVE_INFINITY, 0, 0];
    for (let epoch = 1; ; epoch++) {
      const order = this.#random.permutation(count);
      using total = zeros([1]);
      for (let from = 0; from < count; from += size) {
        step += 1;
        this.#update(rows, order.subarray(from, from + size), { total, step });
      }
      const loss = (await this.#lossOf(total, size)) / count;
      await check();
      failures = loss > best - tolerance ? failures + 1 : 0;
      best = Math.min(best, loss);
      if (failures > patience || epoch === mostEpochs) return { epochs: epoch, loss };
    }
  }

  /** The share of rows whose label is found. */
  async accuracy(rows: LabelledRows): Promise<number> {
    const count = rows.labels.length;
    const order = Uint32Array.from({ length: count }, (_, i) => i);
    let right = 0;
    for (let from = 0; from < count; from += 4096) {
      const some = order.subarray(from, from + 4096);
      using logits = tidy(() => this.#forward(batchOf(rows, some).x).at(-1)!);
      const found = await logits.data();
      for (const [i, row] of some.entries()) {
        if (found[i]! > 0 === (rows.labels[row] === 1)) right += 1;
      }
    }
    return right / count;
  }

  dispose(): void {
    for (const t of this.#tensors) t.dispose();
  }

  get #tensors(): Tensor[] {
    return this.#layers.flatMap(({ w, b }) => [w, b].flatMap(({ target, m, v }) => [target, m, v]));
  }

  /** Adds the sum of a batch's losses to `total`, and moves the weights. */
  #update(
    rows: LabelledRows,
    some: Uint32Array,
    { total, step }: { readonly total: Tensor; readonly step: number },
  ): void {
    tidy(() => {
      const { x, labels } = batchOf(rows, some);
      const states = [x, ...this.#forward(x)];
      const logits = states.at(-1)!;
      const losses = sub(softplus(logits), mul(labels, logits));
      accumulate(total, sum(losses).reshape([1]), 1);
      let dy = sub(sigmoid(logits), labels);
      const updates = this.#layers.toReversed().flatMap(({ w, b }, behind) => {
        const input = states[this.#layers.length - 1 - behind]!;
        const dw = convFilterGrad(input, dy, w.target.shape);
        accumulate(dw, w.target, penalty);
        const db = sumPerChannel(dy).reshape(b.target.shape);
        if (input !== x) dy = convInputGrad(dy, w.target, input.shape, { relu: input });
        return [
          { ...w, grad: dw, step },
          { ...b, grad: db, step },
        ];
      });
      adamUpdate(updates, { ...adam, gradientScale: 1 / some.length });
    });
  }

  /** The sum of an epoch's losses, with the penalty of the weights that it ends with. */
  async #lossOf(total: Tensor, size: number): Promise<number> {
    using all = tidy(() => {
      const squares = this.#layers.map(({ w }) => sumSquares(w.target).reshape([1]));
      return concat([total, ...squares], 0);
    });
    const [losses, ...squares] = await all.data();
    return losses! + (penalty / (2 * size)) * squares.reduce((a, b) => a + b, 0);
  }

  /** What each layer gives. */
  #forward(x: Tensor): Tensor[] {
    let state = x;
    return this.#layers.map(({ w, b }, i) => {
      const hidden = i < this.#layers.length - 1;
      const behind = { bias: b.target, ...(hidden && { activation: 'relu' as const }) };
      state = conv(state, w.target, behind);
      return state;
    });
  }
}

type Trained = Pick<AdamTensors, 'target' | 'm' | 'v'>;

interface Layer {
  readonly w: Trained;
  readonly b: Trained;
}

/** Glorot and Bengio's uniform weights (2010), of which scikit-learn draws biases as well. */
function newLayer(into: number, out: number, random: RandomStream): Layer {
  const bound = Math.sqrt(6 / (into + out));
  const trained = (shape: Shape) => {
    const target = random.uniform(shape, -bound, bound);
    return { target, m: zerosLike(target), v: zerosLike(target) };
  };
  return { w: trained([out, into, 1]), b: trained([out]) };
}

function batchOf(rows: LabelledRows, some: Uint32Array) {
  const size = some.length;
  const x = new Float64Array(rows.columns * size);
  const labels = new Uint8Array(size);
  for (let i = 0; i < size; i++) {
    labels[i] = rows.labels[some[i]!]!;
    for (let c = 0; c < rows.columns; c++)
      x[c * size + i] = rows.data[some[i]! * rows.columns + c]!;
  }
  return { x: tensor(x, [1, rows.columns, size]), labels: tensor(labels, [1, 1, size]) };
}
