/** What figures check of lists of numbers. */
import { formatValue, requireList, ValueError } from '@invnet/tensor';

/** @throws ValueError unless it is an array, plain or typed; what stands in it may be no number, and leaves a gap. */
export function requireNumberList(op: string, name: string, list: ArrayLike<number>): void {
  if (ArrayBuffer.isView(list) && !(list instanceof DataView)) return;
  requireList(op, name, list as readonly unknown[], 'a list of numbers');
  for (let i = 0; i < list.length; i++) {
    if (typeof list[i] === 'number') continue;
    throw new ValueError(`${op}: ${name}[${i}] is ${formatValue(list[i])}; expected a number.`);
  }
}
