// Asynchronous files (libuv's thread pool), streams, compression and watching.
import * as fs from 'node:fs';
import * as fsp from 'node:fs/promises';
import * as os from 'node:os';
import * as path from 'node:path';
import { pipeline } from 'node:stream/promises';
import * as zlib from 'node:zlib';

const folder = await fsp.mkdtemp(path.join(os.tmpdir(), 'coracle-'));
const names = Array.from({ length: 40 }, (_, i) => path.join(folder, `file${i}`));
await Promise.all(names.map((name, i) => fsp.writeFile(name, 'x'.repeat(i * 1000))));
const sizes = await Promise.all(names.map(async (name) => (await fsp.stat(name)).size));
console.log(sizes.reduce((a, b) => a + b));
console.log((await fsp.readdir(folder)).length);
const text = Array.from({ length: 20000 }, (_, i) => `line ${i}\n`).join('');
await fsp.writeFile(names[0], text);
await pipeline(fs.createReadStream(names[0]), zlib.createGzip(), fs.createWriteStream(names[1]));
await pipeline(fs.createReadStream(names[1]), zlib.createGunzip(), fs.createWriteStream(names[2]));
console.log((await fsp.readFile(names[2], 'utf8')) === text);
const handle = await fsp.open(names[3], 'r+');
await handle.write('abc', 10);
await handle.truncate(20);
const { buffer, bytesRead } = await handle.read(Buffer.alloc(100), 0, 100, 8);
console.log(bytesRead, buffer.subarray(0, 8).toString());
await handle.close();
await fsp.rename(names[3], names[4]);
await fsp.symlink(names[4], names[3]);
console.log(path.basename(await fsp.realpath(names[3])));
for (const attempt of [() => fsp.readFile(path.join(folder, 'none')), () => fsp.rmdir(folder),
    () => fsp.open(folder, 'w')]) {
    await attempt().catch((error) => console.log(error.code, error.syscall));
}
await fsp.rm(folder, { recursive: true });
console.log(fs.existsSync(folder));
