/** Labels as contexts. */
import {
  formatValue,
  requireList,
  requireWhole,
  type Tensor,
  tensor,
  ValueError,
} from '@invnet/tensor';

/** Classes at most. */
const MOST_CLASSES = 2 ** 20;

/**
 * Labels as rows of zeros with a 1 at the class, [N, classes]: the context of what depends on a class.
 *
 * @param labels whole numbers from 0 to classes − 1
 * @throws ValueError for labels that are none of the classes.
 * @example oneHot([2, 0], 3) // [[0, 0, 1], [1, 0, 0]]
 */
export function oneHot(labels: ArrayLike<number>, classes: number): Tensor {
  requireWhole('oneHot', 'classes', classes, 1, MOST_CLASSES);
  const list = ArrayBuffer.isView(labels) ? Array.from(labels as ArrayLike<number>) : labels;
  requireList('oneHot', 'labels', list as readonly number[], 'a list of whole numbers');
  if (list.length === 0) throw new ValueError('oneHot: got no labels; expected at least one.');
  const values = new Float32Array(list.length * classes);
  for (let i = 0; i < list.length; i++) {
    const label = list[i]!;
    if (!Number.isInteger(label) || label < 0 || label >= classes) {
      throw new ValueError(
        `oneHot: labels[${i}] is ${formatValue(label)}; expected a whole number from 0 to ${classes - 1}.`,
      );
    }
    values[i * classes + label] = 1;
  }
  return tensor(values, [list.length, classes]);
}
