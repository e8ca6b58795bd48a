// The peer of the benchmark `ingest`: Probot with a handler that does nothing. Arguments: its folder, the port.
// The secret comes from WEBHOOK_SECRET.
import { generateKeyPairSync } from 'node:crypto';
import { pathToFileURL } from 'node:url';

const [folder, port] = process.argv.slice(2);
const { Probot, Server } = await import(pathToFileURL(`${folder}/lib/index.js`));
const { privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});
const secret = process.env.WEBHOOK_SECRET;
const server = new Server({
  Probot: Probot.defaults({ appId: 1, privateKey, secret, logLevel: 'fatal', baseUrl: 'http://127.0.0.1:1' }),
  port: Number(port),
  host: '127.0.0.1',
  webhookPath: '/hooks/github',
  webhookProxy: undefined,
});
await server.load((app) => {
  app.on('push', async () => {});
});
await server.start();
