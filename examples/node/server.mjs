// An HTTP server at port 8080 and an HTTPS server at port 8443: /echo answers with the request,
// /hash with the SHA-256 of its body, /stream?lines=N with N lines, one at a time.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';

async function answer(request, response) {
  const url = new URL(request.url, 'http://localhost');
  if (url.pathname === '/echo') {
    const { method, headers } = request;
    const query = Object.fromEntries(url.searchParams);
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify({ method, query, agent: headers['user-agent'] }));
  } else if (url.pathname === '/hash') {
    const hash = createHash('sha256');
    for await (const chunk of request) hash.update(chunk);
    response.end(hash.digest('hex'));
  } else if (url.pathname === '/stream') {
    for (let n = 0; n < Number(url.searchParams.get('lines')); n++) {
      if (!response.write(`line ${n}\n`)) {
        await new Promise((resolve) => response.once('drain', resolve));
      }
    }
    response.end();
  } else {
    response.writeHead(404).end('not here\n');
  }
}

const key = readFileSync('/tls/key.pem');
const cert = readFileSync('/tls/certificate.pem');
http.createServer(answer).listen(8080, () => {
  https.createServer({ key, cert }, answer).listen(8443, () => console.log('listening'));
});
process.on('SIGTERM', () => process.exit(0));
