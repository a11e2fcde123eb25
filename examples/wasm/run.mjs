// Runs the module in Node and prints the losses: `node run.mjs MODULE.wasm STEPS`.
import { readFileSync } from "node:fs";

const [path, steps] = process.argv.slice(2);
const module = new WebAssembly.Module(readFileSync(path));
const asked = WebAssembly.Module.imports(module);
if (asked.length > 0) {
    throw new Error(`the module asks its host for ${asked.map((part) => part.name).join(", ")}`);
}
const { exports } = new WebAssembly.Instance(module);
if (exports.is_sound() !== 1) {
    throw new Error("the small checks fail");
}
const start = performance.now();
const pointer = exports.losses(Number(steps));
if (pointer === 0) {
    throw new Error("training failed");
}
// One for each step, then training and validation of each of the two epochs of the training kit.
const losses = new Float64Array(exports.memory.buffer, pointer, Number(steps) + 4);
console.log([...losses].join("\n"));
const seconds = ((performance.now() - start) / 1000).toFixed(1);
const megabytes = (exports.memory.buffer.byteLength / 2 ** 20).toFixed(0);
console.error(`${steps} steps in ${seconds} s, ${megabytes} MiB of memory`);
