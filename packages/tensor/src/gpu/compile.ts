/** From a kernel's source to what gpu.js compiles. */
import type { GpuJsFunction, GpuJsSettings } from './gpujs.js';
import { division, type IndexFunction, type KernelSource } from './source.ts';

/** The kernel as the text of a JavaScript function, and its settings, arrays being of a type of gpu.js. */
export function gpuJsKernel(source: KernelSource, arrayType: string) {
  const { arrays, scalars, size } = source;
  const { functions, body } = source.write();
  const settings: GpuJsSettings = {
    output: [Math.ceil(size / 4)],
    argumentTypes: [...arrays.map(() => arrayType), ...scalars.map(() => 'Float')],
    functions: [...division, ...functions].map(indexFunction),
    pipeline: true,
    precision: 'single',
    tactic: 'precision',
  };
  return { text: `function kernel(${[...arrays, ...scalars].join(', ')}) {\n${body}\n}`, settings };
}

function indexFunction({ name, parameters, body }: IndexFunction): GpuJsFunction {
  return {
    name,
    source: `function ${name}(${parameters.join(', ')}) { ${body} }`,
    argumentTypes: parameters.map(() => 'Integer'),
    returnType: 'Integer',
  };
}
