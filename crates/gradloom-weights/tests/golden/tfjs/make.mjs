// Writes a small manifest of TensorFlow.js with all its dtypes and quantisations, cut into files within tensors, and
// what TensorFlow.js itself reads from it.
//
//     npm install @tensorflow/tfjs@4.22.0
//     node make.mjs

import * as tf from "@tensorflow/tfjs";
import { writeFileSync } from "node:fs";

let state = 7;
const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
const many = (count, make) => Array.from({ length: count }, make);
const bytes = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);

const first = [
  [{ name: "plain", shape: [2, 3], dtype: "float32" }, Float32Array.from(many(6, () => random() - 0.5))],
  [{ name: "whole", shape: [3], dtype: "int32" }, Int32Array.from([-7, 0, 2147483647])],
  [{ name: "truth", shape: [3], dtype: "bool" }, Uint8Array.from([1, 0, 1])],
  [
    { name: "layer/kernel", shape: [2, 2, 3], dtype: "float32", quantization: { dtype: "uint8", scale: 0.013, min: -1.7, original_dtype: "float32" } },
    Uint8Array.from(many(12, () => 256 * random())),
  ],
  [
    { name: "layer/fine", shape: [5], dtype: "float32", quantization: { dtype: "uint16", scale: 1.9e-5, min: -0.31 } },
    Uint16Array.from(many(5, () => 65536 * random())),
  ],
  [
    { name: "layer/half", shape: [4], dtype: "float32", quantization: { dtype: "float16", original_dtype: "float32" } },
    Uint16Array.from([0x3c00, 0xc151, 0x0001, 0x7bff]),
  ],
];
const second = [
  [
    { name: "steps", shape: [4], dtype: "int32", quantization: { dtype: "uint8", scale: 0.5, min: -3, original_dtype: "int32" } },
    Uint8Array.from([0, 1, 7, 255]),
  ],
  [{ name: "scalar", shape: [], dtype: "float32" }, Float32Array.from([0.25])],
];

const expected = {};
const manifest = [];
for (const [index, group] of [first, second].entries()) {
  const weights = group.map(([spec]) => spec);
  const data = Buffer.concat(group.map(([, array]) => bytes(array)));
  const cuts = index === 0 ? [0, 11, 50, data.length] : [0, data.length];
  const paths = cuts.slice(1).map((_, shard) => `group${index + 1}-shard${shard + 1}of${cuts.length - 1}.bin`);
  paths.forEach((path, shard) => writeFileSync(path, data.subarray(cuts[shard], cuts[shard + 1])));
  manifest.push({ paths, weights });
  const buffer = data.buffer.slice(data.byteOffset, data.byteOffset + data.length);
  for (const [name, tensor] of Object.entries(tf.io.decodeWeights(buffer, weights))) {
    expected[name] = { shape: tensor.shape, dtype: tensor.dtype, values: Array.from(tensor.dataSync(), Number) };
  }
}
writeFileSync("weights_manifest.json", JSON.stringify(manifest) + "\n");
writeFileSync("model.json", JSON.stringify({ format: "layers-model", generatedBy: "keras v2.4.0", convertedBy: null, modelTopology: { nodes: [1, 2] }, weightsManifest: manifest }) + "\n");
writeFileSync("expected.json", JSON.stringify(expected) + "\n");
