// OpenSSL behind node:crypto, much of it in the thread pool.
import * as crypto from 'node:crypto';
import { promisify } from 'node:util';

console.log(crypto.createHash('sha256').update('coracle').digest('hex'));
console.log(crypto.createHmac('sha512', 'key').update('text').digest('base64'));
const derived = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((salt) =>
    promisify(crypto.pbkdf2)('password', salt, 2000, 32, 'sha256')));
console.log(derived.map((d) => d.toString('hex').slice(0, 8)).join(' '));
console.log((await promisify(crypto.scrypt)('password', 'salt', 32)).toString('hex'));
const key = crypto.createHash('md5').update('k').digest(), iv = Buffer.alloc(12, 7);
const cipher = crypto.createCipheriv('aes-128-gcm', key, iv);
const sealed = Buffer.concat([cipher.update('secret text'), cipher.final()]);
console.log(sealed.toString('hex'), cipher.getAuthTag().toString('hex'));
const { privateKey, publicKey } = await promisify(crypto.generateKeyPair)('ed25519');
const signature = crypto.sign(null, Buffer.from('message'), privateKey);
console.log(signature.length, crypto.verify(null, Buffer.from('message'), publicKey, signature));
console.log((await promisify(crypto.randomBytes)(100)).length, crypto.randomUUID().length);
