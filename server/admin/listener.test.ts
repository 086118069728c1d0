import { once } from 'node:events';
import { get } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { makeCertificate } from '../testing/certificates.ts';
import { makeListener } from './listener.ts';

it('cuts off peers whose TLS handshake never ends, silent, trickling or in plain HTTP, and answers the others', async () => {
  const tls = makeCertificate();
  const listener = makeListener({}, tls, 500);
  onTestFinished(() => listener.close());
  const { server } = listener;
  // As the API does: what can't be read is answered, which must not be tried below TLS.
  server.on('clientError', (_error, socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  server.on('request', (_request, response) => void response.end('served'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const peers = await Promise.all(
    ['', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 'GET / HTTP/1.1\r\n\r\n'].map(async (beginning) => {
      const peer = connect(port, '127.0.0.1');
      peer.on('error', () => {});
      await once(peer, 'connect');
      peer.write(beginning, 'latin1');
      return peer;
    }),
  );
  const trickle = setInterval(() => peers[1]!.write('x'), 100);
  onTestFinished(() => clearInterval(trickle));
  // However it ends: `once` would reject where what is written meets a connection that is reset.
  await Promise.all(peers.map((peer) => new Promise((closed) => void peer.resume().on('close', closed))));
  const [response] = await once(get({ host: '127.0.0.1', port, ca: tls.cert, agent: false }), 'response');
  expect(response.statusCode).toBe(200);
});
