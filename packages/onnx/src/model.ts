/** ONNX files: the protobuf messages of a graph, as bytes. */
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { BackendError } from '@invnet/tensor';
import {
  type AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataType as DataType,
  ModelProtoSchema,
  type TensorProtoSchema,
  type ValueInfoProtoSchema,
} from 'onnx-buf';
import manifest from '../package.json' with { type: 'json' };
import type { Attribute, Constant, End, Graph } from './graph.ts';

/** The set of operations, of 2022; every onnxruntime since 1.14 has it. */
const opset = 18;
/** The version of the form that goes with it. */
const irVersion = 8;
/** What a protobuf message holds at most. */
const mostBytes = 2 ** 31 - 1;

/**
 * The bytes of a file.
 * @throws BackendError for more than 2 GiB, which no ONNX file holds by itself.
 */
export function onnxBytes(
  graph: Graph,
  metadata: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const { batch } = graph;
  const { nodes, constants, inputs, outputs } = graph.parts();
  const bytes = 4 * constants.reduce((sum, { values }) => sum + values.length, 0);
  if (bytes > mostBytes) {
    throw new BackendError(
      `exportOnnx: the weights are ${bytes} bytes; an ONNX file holds ${mostBytes} at most.`,
    );
  }
  const model = create(ModelProtoSchema, {
    irVersion: BigInt(irVersion),
    opsetImport: [{ domain: '', version: BigInt(opset) }],
    producerName: manifest.name,
    producerVersion: manifest.version,
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    graph: {
      name: 'invnet',
      node: nodes.map(({ type, inputs, output, attributes }) => ({
        name: output,
        opType: type,
        input: [...inputs],
        output: [output],
        attribute: Object.entries(attributes).map(attributeOf),
      })),
      initializer: constants.map(tensorOf),
      input: inputs.map((end) => valueInfo(end, batch)),
      output: outputs.map((end) => valueInfo(end, batch)),
    },
  });
  return toBinary(ModelProtoSchema, model);
}

function attributeOf([name, value]: [string, Attribute]): MessageInitShape<
  typeof AttributeProtoSchema
> {
  if (typeof value === 'number') return { name, type: AttributeType.INT, i: BigInt(value) };
  if ('real' in value) return { name, type: AttributeType.FLOAT, f: value.real };
  return { name, type: AttributeType.INTS, ints: value.map(BigInt) };
}

function tensorOf({ name, sizes, values }: Constant): MessageInitShape<typeof TensorProtoSchema> {
  const dims = sizes.map(BigInt);
  if (!(values instanceof Float32Array)) {
    return { name, dims, dataType: DataType.INT64, int64Data: [...values] };
  }
  return { name, dims, dataType: DataType.FLOAT, rawData: littleEndian(values) };
}

/** Numbers as files have them, on any machine. */
function littleEndian(values: Float32Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => {
    view.setFloat32(4 * i, value, true);
  });
  return bytes;
}

function valueInfo(
  { name, sizes }: End,
  batch: number,
): MessageInitShape<typeof ValueInfoProtoSchema> {
  const dim = sizes.map((size) => ({
    value:
      size === batch
        ? { case: 'dimParam' as const, value: 'N' }
        : { case: 'dimValue' as const, value: BigInt(size) },
  }));
  const tensor = { elemType: DataType.FLOAT, shape: { dim } };
  return { name, type: { value: { case: 'tensorType', value: tensor } } };
}
