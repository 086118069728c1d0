import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { boundConnections } from './connections.ts';

it('counts together what is one peer, whatever its addresses, and gives the place of one that goes to the next', async () => {
  const server = createServer();
  const peerOf = (ip: string) => ip.replace(/\.\d+$/, '');
  boundConnections(server, { connectionsMax: 100, connectionsPerIpMax: 2, peerOf });
  server.on('connection', (socket) => socket.destroyed || socket.on('error', () => {}).write('served'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  /** `served`, or nothing where it is cut off. */
  const open = async (localAddress: string) => {
    const socket = connect({ host: '127.0.0.1', port, localAddress });
    onTestFinished(() => void socket.destroy());
    socket.on('error', () => {});
    const said = await Promise.race([once(socket, 'data'), once(socket, 'close').then(() => [''])]);
    return { socket, said: String(said[0]) };
  };
  const first = await open('127.0.0.2');
  const others = [await open('127.0.0.3'), await open('127.0.0.4'), await open('127.0.1.2')];
  expect([first, ...others].map(({ said }) => said)).toEqual(['served', 'served', '', 'served']);
  first.socket.destroy();
  await expect.poll(async () => (await open('127.0.0.5')).said).toBe('served');
});
