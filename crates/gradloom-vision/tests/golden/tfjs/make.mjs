// Writes what TensorFlow.js computes with the networks of tests/tfjs.rs: `filled.json` with weights made of their
// names, and `published.json` with published weights on real photos.
//
//     cargo xtask assets face-api nsfwjs esrgan-slim photos
//     npm install @tensorflow/tfjs@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0 @vladmandic/face-api@1.7.15 pngjs@7.0.0
//     node make.mjs ../../../../../assets

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const tf = require("@tensorflow/tfjs");
require("@tensorflow/tfjs-backend-wasm");
const faceapi = require("@vladmandic/face-api/dist/face-api.node-wasm.js");
const { PNG } = require("pngjs");
const assets = process.argv[2];
await tf.setBackend("wasm");
await tf.ready();

// As `fill` of ../make.py.
function fill(name, count, scale = 1, shift = 0) {
  let seed = 2166136261;
  for (const byte of Buffer.from(name)) seed = Math.imul(seed ^ byte, 16777619);
  const values = new Float32Array(count);
  for (let index = 0; index < count; index++) {
    let x = (Math.imul(index, 0x9e3779b1) + seed) | 0;
    x ^= x >>> 16;
    x = Math.imul(x, 0x85ebca6b);
    x ^= x >>> 13;
    x = Math.imul(x, 0xc2b2ae35);
    x ^= x >>> 16;
    values[index] = shift + scale * ((x >>> 8) / 2 ** 23 - 1);
  }
  return values;
}

const product = (shape) => shape.reduce((a, b) => a * b, 1);

// The value of a weight or running statistic, in TensorFlow's layout.
function valueOf(name, shape) {
  const last = name.split("/").pop();
  let [scale, shift] = [0.1, 0];
  if (last === "moving_variance" || (shape.length === 1 && ["gamma", "weights"].includes(last))) [scale, shift] = [0.25, 1];
  if (shape.length === 2) scale = Math.sqrt(6 / shape[0]);
  if (shape.length === 4) scale = Math.sqrt(6 / product(last.startsWith("depthwise") ? shape.slice(0, 2) : shape.slice(0, 3)));
  return fill(name, product(shape), scale, shift);
}

const number = (value) => Number(value.toPrecision(7));

// Every so many-th value, of channels before places.
function summary(tensor) {
  const ordered = tensor.rank === 4 ? tensor.transpose([0, 3, 1, 2]) : tensor;
  const values = ordered.dataSync();
  // No multiple of five, which would miss columns of detections.
  const stride = Math.max(1, Math.floor(values.length / 150 / 5) * 5 + (values.length < 750 ? 0 : 1));
  return { shape: ordered.shape, stride, values: Array.from(values).filter((_, index) => index % stride === 0).map(number) };
}

// Pictures [N, H, W, 3] made of a name as [N, 3, H, W].
const pictures = ([n, h, w], scale = 1, shift = 0) => tf.tensor(fill("pictures", n * 3 * h * w, scale, shift), [n, 3, h, w]).transpose([0, 2, 3, 1]);

function photo(name) {
  const { width, height, data } = PNG.sync.read(readFileSync(`${assets}/photos/${name}`));
  return tf.tensor(new Uint8Array(data), [height, width, 4], "int32").slice([0, 0, 0], [-1, -1, 3]);
}

const crop = (image, [top, left, height, width]) => image.slice([top, left, 0], [height, width, 3]);

const manifest = (path) => {
  const json = JSON.parse(readFileSync(`${assets}/${path}`));
  return (json.weightsManifest ?? json).flatMap(({ weights }) => weights);
};

async function keras(path, { change = (topology) => topology, published = true }) {
  const folder = `${assets}/${path}`;
  const json = JSON.parse(change(readFileSync(`${folder}/model.json`, "utf8")));
  const specs = json.weightsManifest.flatMap(({ weights }) => weights);
  const files = json.weightsManifest.flatMap(({ paths }) => paths);
  const plain = specs.map(({ name, shape, dtype }) => ({ name, shape, dtype }));
  const data = published
    ? Buffer.concat(files.map((file) => readFileSync(`${folder}/${file}`)))
    : Buffer.concat(plain.map(({ name, shape }) => Buffer.from(valueOf(name, shape).buffer)));
  const weightData = data.buffer.slice(data.byteOffset, data.byteOffset + data.length);
  return tf.loadLayersModel({ load: async () => ({ modelTopology: json.modelTopology, weightSpecs: published ? specs : plain, weightData }) });
}

const filled = {};
const published = {};

async function fillKeras(name, path, input, change) {
  const model = await keras(path, { change, published: false });
  const weights = manifest(`${path}/model.json`).map(({ name, shape }) => [name, shape]);
  filled[name] = { weights, input, output: summary(model.predict(pictures(input))) };
}

// Networks of face-api: their input is a picture of pixels, resized and padded inside.
const NETS = {
  face_descriptor: ["face_recognition_model", () => new faceapi.FaceRecognitionNet(), 150, (net, x) => net.forward(x)],
  face_landmarks: ["face_landmark_68_model", () => new faceapi.FaceLandmark68Net(), 112, (net, x) => net.forward(x)],
  face_landmarks_tiny: ["face_landmark_68_tiny_model", () => new faceapi.FaceLandmark68TinyNet(), 112, (net, x) => net.forward(x)],
  face_expression: ["face_expression_model", () => new faceapi.FaceExpressionNet(), 112, (net, x) => net.forward(x), async (net, x) => net.runNet(await faceapi.toNetInput(x))],
  tiny_face_detector: ["tiny_face_detector_model", () => new faceapi.TinyFaceDetector(), 160, (net, x) => net.forward(x, 160)],
  ssd_face_detector: ["ssd_mobilenetv1_model", () => new faceapi.SsdMobilenetv1(), 512, async (net, x) => {
    const { boxes, scores } = await net.forward(x);
    return tf.concat([boxes[0], scores[0].reshape([-1, 1])], 1);
  }],
};

async function fillNet(name) {
  // Logits, where the network ends with a softmax: that of filled weights is all or nothing.
  const [file, make, size, forward, logits] = NETS[name];
  const run = logits ?? forward;
  const specs = manifest(`face-api/model/${file}-weights_manifest.json`);
  const map = {};
  for (const spec of specs) map[spec.name] = tf.tensor(valueOf(spec.name, spec.shape), spec.shape);
  const net = make();
  net.loadFromWeightMap(map);
  const input = [1, size, size];
  const output = await run(net, pictures(input, 120, 128));
  filled[name] = { weights: specs.map(({ name, shape }) => [name, shape]), input, output: summary(output) };
}

async function load(name) {
  const [file, make] = NETS[name];
  const net = make();
  const groups = JSON.parse(readFileSync(`${assets}/face-api/model/${file}-weights_manifest.json`));
  const data = Buffer.concat(groups.flatMap(({ paths }) => paths).map((path) => readFileSync(`${assets}/face-api/model/${path}`)));
  net.loadFromWeightMap(tf.io.decodeWeights(data.buffer.slice(data.byteOffset, data.byteOffset + data.length), groups.flatMap(({ weights }) => weights)));
  return net;
}

const detections = (found) => found.map(({ score, box }) => [score, box.left, box.top, box.right, box.bottom].map(number));

console.log("filled");
await fillKeras("esrgan_slim", "esrgan-slim/x2", [1, 12, 16]);
await fillKeras("mobilenet_v2_keras", "nsfwjs/mobilenet_v2", [1, 64, 64], (text) =>
  text.replace(/\[null,224,224,3\]/, "[null,64,64,3]").replace(/"pool_size":\[7,7\]/, '"pool_size":[2,2]').replace(/"strides":\[7,7\]/, '"strides":[2,2]'));
await fillKeras("inception_v3_keras", "nsfwjs/inception_v3", [1, 75, 75], (text) =>
  text.replace(/\[null,299,299,3\]/, "[null,75,75,3]").replace(/"pool_size":\[8,8\]/, '"pool_size":[1,1]').replace(/"strides":\[8,8\]/, '"strides":[1,1]'));
for (const name of Object.keys(NETS)) await fillNet(name);

console.log("published");
const FACE = [45, 165, 180, 130]; // of the astronaut: top, left, height, width
const astronaut = photo("astronaut.png");
published.esrgan_slim = {};
for (const scale of [2, 4]) {
  const model = await keras(`esrgan-slim/x${scale}`, {});
  published.esrgan_slim[scale] = summary(model.predict(crop(astronaut, [60, 180, 64, 80]).toFloat().expandDims(0)));
}
for (const [name, path, size] of [["mobilenet_v2_keras", "nsfwjs/mobilenet_v2", 224], ["inception_v3_keras", "nsfwjs/inception_v3", 299]]) {
  const model = await keras(path, {});
  published[name] = {};
  for (const file of ["chelsea.png", "coffee.png", "astronaut.png"]) {
    // As nsfwjs prepares a picture.
    const resized = tf.image.resizeBilinear(photo(file).toFloat().div(255), [size, size], true);
    published[name][file] = Array.from(model.predict(resized.expandDims(0)).dataSync(), number);
    console.log(name, file, published[name][file]);
  }
}
const face = crop(astronaut, FACE);
for (const name of ["face_descriptor", "face_landmarks", "face_landmarks_tiny", "face_expression"]) {
  const net = await load(name);
  published[name] = Array.from((await NETS[name][3](net, face)).dataSync(), number);
}
published.tiny_face_detector = detections(await (await load("tiny_face_detector")).locateFaces(astronaut, { inputSize: 416, scoreThreshold: 0.5 }));
published.ssd_face_detector = detections(await (await load("ssd_face_detector")).locateFaces(astronaut, { minConfidence: 0.5 }));
console.log(published.tiny_face_detector, published.ssd_face_detector, published.face_expression);
const write = (file, value) => writeFileSync(new URL(file, import.meta.url), JSON.stringify(value).replaceAll('},"', '},\n"') + "\n");
write("filled.json", filled);
write("published.json", published);
