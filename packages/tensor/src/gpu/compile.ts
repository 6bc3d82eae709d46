/** From a kernel's source to what gpu.js compiles. */
import type { GpuJsFunction, GpuJsSettings } from './gpujs.ts';
import { division, type IndexFunction, type KernelSource } from './source.ts';

/** The kernel as the text of a JavaScript function. */
export function kernelText({ arrays, scalars, body }: KernelSource): string {
  return `function kernel(${[...arrays, ...scalars].join(', ')}) {\n${body}\n}`;
}

/** Settings of the kernel, its arrays being of a type of gpu.js. */
export function kernelSettings(source: KernelSource, arrayType: string): GpuJsSettings {
  const { arrays, scalars, functions, size } = source;
  return {
    output: [Math.ceil(size / 4)],
    argumentTypes: [...arrays.map(() => arrayType), ...scalars.map(() => 'Float')],
    functions: [...division, ...functions].map(indexFunction),
    pipeline: true,
    precision: 'single',
    tactic: 'precision',
  };
}

function indexFunction({ name, parameters, body }: IndexFunction): GpuJsFunction {
  return {
    name,
    source: `function ${name}(${parameters.join(', ')}) { ${body} }`,
    argumentTypes: parameters.map(() => 'Integer'),
    returnType: 'Integer',
  };
}
