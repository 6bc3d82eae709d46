/**
 * An ONNX graph that grows node by node. What was computed before, of equal operands, is not computed
 * again, and equal constants are there once.
 *
 * Left out: what the nodes compute (recorder.ts), and how they stand in a file (model.ts).
 */
import { BackendError, formatShape, type Shape } from '@invnet/tensor';

/** The number of ONNX for floats of 32 bits. */
export const FLOAT = 1;

/** A tensor of the graph. Sizes that are multiples of the batch are multiples of N. */
export interface Value {
  readonly name: string;
  readonly sizes: Shape;
}

/** Whole numbers, lists of them, or a real number, which stands as `{ real }`. */
export type Attribute = number | readonly number[] | { readonly real: number };

/** An operation, its operands by name, and its one result. */
export interface Node {
  readonly type: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** A constant of the graph: floats, or whole numbers for sizes and axes. */
export interface Constant {
  readonly name: string;
  readonly sizes: Shape;
  readonly values: Float32Array | readonly bigint[];
}

/** An input or an output. */
export interface End {
  readonly name: string;
  readonly sizes: Shape;
}

/** What a graph is made of, without anything that no output needs. */
export interface GraphParts {
  readonly nodes: readonly Node[];
  readonly constants: readonly Constant[];
  readonly inputs: readonly End[];
  readonly outputs: readonly End[];
}

export class Graph {
  /** The number of samples that the graph is recorded with; N in the file. */
  readonly batch: number;
  readonly #inputs: End[] = [];
  readonly #outputs: End[] = [];
  readonly #nodes: Node[] = [];
  readonly #constants = new Map<string, Constant>();
  readonly #names = new Set<string>();
  /** The names of what is in the graph, by what it is. */
  readonly #known = new Map<string, string>();
  /** What was added, in order. */
  readonly #log: string[] = [];
  readonly #like: Graph | undefined;

  /**
   * @param like - The same network's graph, recorded with another batch: where the two part, the batch
   * is in a number, which no file with a free N can hold.
   */
  constructor(batch: number, like?: Graph) {
    this.batch = batch;
    this.#like = like;
  }

  /** A name that nothing else has: this one, or with lines behind it. */
  claim(name: string): string {
    let free = name;
    while (this.#names.has(free)) free += '_';
    this.#names.add(free);
    return free;
  }

  /** An input under a name that was claimed. */
  input(name: string, sizes: Shape): Value {
    const end = { name, sizes };
    this.#inputs.push(end);
    return end;
  }

  /** Makes a value an output, under a name that was claimed. */
  output(name: string, { name: value, sizes }: Value): void {
    this.#nodes.push({ type: 'Identity', inputs: [value], output: name, attributes: {} });
    this.#outputs.push({ name, sizes });
  }

  /** The result of an operation, by name. */
  node(
    type: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): string {
    return this.#once(JSON.stringify([type, inputs, attributes]), () => {
      const output = this.claim(`${type}_${this.#nodes.length}`);
      this.#nodes.push({ type, inputs, output, attributes });
      return output;
    });
  }

  /** A list of whole numbers. */
  ints(values: readonly number[]): string {
    const text = formatShape(values);
    return this.#once(text, () =>
      this.#constant(text, { sizes: [values.length], values: values.map(BigInt) }),
    );
  }

  /** One number. */
  float(value: number): string {
    const text = String(value);
    return this.#once(text, () =>
      this.#constant(text, { sizes: [], values: Float32Array.of(value) }),
    );
  }

  /** Numbers without a name of their own. */
  floats(values: Float32Array): Value {
    const sizes = [values.length];
    const name = this.#once(`floats ${values.join()}`, () =>
      this.#constant('constant', { sizes, values }),
    );
    return { name, sizes };
  }

  /** A parameter or a buffer, under its path. */
  weights(path: string, sizes: Shape, values: Float32Array): Value {
    return { name: this.#constant(path, { sizes, values }), sizes };
  }

  /** The value in another shape. */
  reshaped({ name, sizes }: Value, wanted: Shape): string {
    if (sizes.length === wanted.length && sizes.every((s, i) => s === wanted[i])) return name;
    return this.node('Reshape', [name, this.ints(this.#freed(wanted))]);
  }

  /** A size, as a list of one. */
  size(size: number): string {
    const times = size / this.batch;
    if (!Number.isInteger(times)) return this.ints([size]);
    const samples = this.samples();
    return times === 1 ? samples : this.node('Mul', [samples, this.ints([times])]);
  }

  /** N, as a list of one. */
  samples(): string {
    return this.node('Shape', [this.#inputs[0]!.name], { start: 0, end: 1 });
  }

  /** The graph without what no output needs. */
  parts(): GraphParts {
    const needed = new Set(this.#outputs.map(({ name }) => name));
    const nodes: Node[] = [];
    for (const node of this.#nodes.toReversed()) {
      if (!needed.has(node.output)) continue;
      for (const input of node.inputs) needed.add(input);
      nodes.push(node);
    }
    return {
      nodes: nodes.reverse(),
      constants: [...this.#constants.values()].filter(({ name }) => needed.has(name)),
      inputs: this.#inputs.filter(({ name }, i) => i === 0 || needed.has(name)),
      outputs: this.#outputs,
    };
  }

  /** The sizes with −1 in place of that which depends on N. */
  #freed(sizes: Shape): number[] {
    const freed = sizes.map((s) => (s % this.batch === 0 ? -1 : s));
    if (freed.filter((s) => s === -1).length <= 1) return freed;
    throw new BackendError(
      'exportOnnx: a shape depends on the number of samples along two axes; ONNX leaves one size ' +
        'of a shape open. Expected sums over samples, or none of them beside each other.',
    );
  }

  #constant(name: string, constant: Omit<Constant, 'name'>): string {
    const own = this.claim(name);
    this.#constants.set(own, { name: own, ...constant });
    return own;
  }

  #once(what: string, add: () => string): string {
    const known = this.#known.get(what);
    if (known !== undefined) return known;
    if (this.#like && this.#like.#log[this.#log.length] !== what) throw batchInNumbers();
    this.#log.push(what);
    const name = add();
    this.#known.set(what, name);
    return name;
  }
}

function batchInNumbers(): BackendError {
  return new BackendError(
    'exportOnnx: a number or a size here depends on the number of samples, which is free in the ' +
      'file: a mean over samples, for instance, or an array made for so many of them. Expected maps ' +
      'of each sample alone.',
  );
}
