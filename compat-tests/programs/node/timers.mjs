// Timers and the order of what the event loop runs.
import { setTimeout as sleep, setInterval as ticks } from 'node:timers/promises';

const order = [];
setImmediate(() => order.push('immediate'));
process.nextTick(() => order.push('tick'));
Promise.resolve().then(() => order.push('promise'));
queueMicrotask(() => order.push('microtask'));
order.push('main');
await sleep(5);
console.log(order.join(' '));

const start = process.hrtime.bigint();
const woken = [];
await Promise.all([60, 20, 40].map(async (ms) => { await sleep(ms); woken.push(ms); }));
console.log(woken.join(' '), process.hrtime.bigint() - start >= 59_000_000n);
let count = 0;
for await (const _ of ticks(2)) if (++count === 10) break;
console.log('ticks', count);
const aborter = new AbortController();
setTimeout(() => aborter.abort(), 5);
await sleep(100000, null, { signal: aborter.signal }).catch((e) => console.log(e.code));

process.on('SIGUSR2', (signal) => console.log(signal));
process.kill(process.pid, 'SIGUSR2');
await sleep(20);
const cpu = process.cpuUsage();
for (let i = 0, end = Date.now() + 30; Date.now() < end; i++);
console.log('cpu', process.cpuUsage(cpu).user + process.cpuUsage(cpu).system > 1000);
process.on('exit', (code) => console.log('exit', code));
process.exitCode = 7;
