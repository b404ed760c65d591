// Worker threads: messages, a shared counter, Atomics.wait, an error that crosses over.
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const kWorkers = 6, kRounds = 20000;
if (isMainThread) {
    const shared = new Int32Array(new SharedArrayBuffer(8));
    const workers = [];
    for (let id = 0; id < kWorkers; id++) {
        workers.push(new Worker(fileURLToPath(import.meta.url), { workerData: { id, shared } }));
    }
    const exits = Promise.all(workers.map((w) => once(w, 'exit')));
    await Promise.all(workers.map((w) => once(w, 'message')));  // all wait now
    Atomics.store(shared, 1, 1);
    Atomics.notify(shared, 1);
    const results = await Promise.all(workers.map(async (w) => (await once(w, 'message'))[0]));
    console.log(results.join(' '), shared[0] === kWorkers * kRounds);
    console.log((await exits).join(' '));

    const failing = new Worker('throw new TypeError("from a worker")', { eval: true });
    const [error] = await once(failing, 'error');
    console.log(error.name, error.message);
    const endless = new Worker('for (;;);', { eval: true });
    await once(endless, 'online');
    console.log('terminated', await endless.terminate());
} else {
    const { id, shared } = workerData;
    parentPort.postMessage('ready');
    Atomics.wait(shared, 1, 0);
    for (let i = 0; i < kRounds; i++) Atomics.add(shared, 0, 1);
    let sum = 0;
    for (let i = 0; i < 1000; i++) sum += i * id;
    parentPort.postMessage(sum);
}
