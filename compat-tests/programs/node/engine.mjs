// V8: optimised code, its deoptimisation, garbage collection, WebAssembly; with --expose-gc.
function fibonacci(n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }
console.log(fibonacci(24));
function add(a, b) { return a + b; }
let sum = 0;
for (let i = 0; i < 300000; i++) sum = add(sum, i);
console.log(sum, add('de', 'optimised'), add(1n, 2n));
console.log([...'zyx'].sort().join(''), /(?<year>\d{4})-(?<month>\d\d)/u.exec('in 2024-02').groups.year);

const before = process.memoryUsage().heapUsed;
let hoard = [];
for (let i = 0; i < 20000; i++) hoard.push({ i, text: `number ${i}`, list: new Array(50).fill(i) });
const grown = process.memoryUsage().heapUsed;
hoard = null;
globalThis.gc();
console.log('collected', grown - before > 5e6, process.memoryUsage().heapUsed < grown - 5e6);
let finalized = 0;
const registry = new FinalizationRegistry(() => finalized++);
for (let i = 0; i < 100; i++) registry.register({ i }, i);
globalThis.gc();
await new Promise((resolve) => setTimeout(resolve, 30));
console.log('finalized', finalized > 0);
try {
    (function deeper() { deeper(); })();
} catch (error) {
    console.log(error.name, error.message);
}

// A WebAssembly module of one function of type `type`, with a memory of one page.
function assemble(type, name, locals, code) {
    const text = (string) => [string.length, ...Buffer.from(string)];
    const section = (id, ...content) => [id, content.length, ...content];
    const body = [...locals, ...code, 0x0b];
    return Uint8Array.from([
        0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
        ...section(1, 1, 0x60, ...type),
        ...section(3, 1, 0),
        ...section(5, 1, 0, 1),
        ...section(7, 2, ...text(name), 0, 0, ...text('memory'), 2, 0),
        ...section(10, 1, body.length, ...body),
    ]);
}
// (param i32) (result i32): 1 + 2 + ... by a loop, and the memory's first word.
const { instance } = await WebAssembly.instantiate(assemble(
    [1, 0x7f, 1, 0x7f], 'sum', [1, 1, 0x7f], [
        0x03, 0x40,                                // loop
        0x20, 1, 0x20, 0, 0x6a, 0x21, 1,           // total += n
        0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0,  // if (n -= 1) again
        0x0b, 0x20, 1, 0x41, 0, 0x28, 2, 0, 0x6a,  // total + load
    ]));
new Int32Array(instance.exports.memory.buffer)[0] = 1000;
let total = 0;
for (let i = 0; i < 2000; i++) total += instance.exports.sum(100);
console.log('wasm', total, instance.exports.sum(10));
// A store outside of the memory: a SIGSEGV that becomes an exception.
const { instance: wild } = await WebAssembly.instantiate(assemble(
    [0, 0], 'poke', [0], [0x41, 0x7f, 0x41, 1, 0x36, 2, 0]));
for (let i = 0; i < 3; i++) {
    try {
        wild.exports.poke();
    } catch (error) {
        console.log(error.constructor.name, error.message);
    }
}
