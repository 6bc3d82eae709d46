/** The element-wise functions, each as it is defined. */
import type { BinaryOp, UnaryOp } from '../backend.ts';

/** f(x) of a `UnaryOp`. */
export function unaryFunction(op: UnaryOp, alpha: number, beta: number): (x: number) => number {
  switch (op) {
    case 'abs':
      return Math.abs;
    case 'affine':
      return (x) => alpha * x + beta;
    case 'exp':
      return Math.exp;
    case 'leakyRelu':
      return (x) => (x > 0 ? x : alpha * x);
    case 'log':
      return Math.log;
    case 'neg':
      return (x) => -x;
    case 'power':
      return (x) => x ** alpha;
    case 'reciprocal':
      return (x) => 1 / x;
    case 'relu':
      return (x) => Math.max(x, 0);
    case 'sigmoid':
      return (x) => 1 / (1 + Math.exp(-x));
    case 'sign':
      return Math.sign;
    case 'softplus':
      return (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
    case 'sqrt':
      return Math.sqrt;
    case 'square':
      return (x) => x * x;
    case 'tanh':
      return Math.tanh;
  }
}

/** f(a, b) of a `BinaryOp`. */
export function binaryFunction(op: BinaryOp): (a: number, b: number) => number {
  switch (op) {
    case 'add':
      return (a, b) => a + b;
    case 'div':
      return (a, b) => a / b;
    case 'max':
      return Math.max;
    case 'min':
      return Math.min;
    case 'mul':
      return (a, b) => a * b;
    case 'reluGrad':
      return (a, b) => (a > 0 ? b : 0);
    case 'sigmoidGrad':
      return (a, b) => b * a * (1 - a);
    case 'sub':
      return (a, b) => a - b;
    case 'tanhGrad':
      return (a, b) => b * (1 - a * a);
  }
}
