import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { expect, it, onTestFinished } from 'vitest';
import { makeCertificate, type TestCertificate, writeCertificate } from '../testing/certificates.ts';
import { type Accepted, type Heard, type Listening, listening, Peer, RawPeer } from './harness.contract.ts';
import type { OpenTransport, TlsFiles } from './transport.ts';

/** What the rest of the suite holds a transport to it does under TLS, too; here is what TLS itself may spoil. */
export function tlsContract(open: OpenTransport): void {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)('speaks %s', async (version) => {
    const { tls } = await certificate();
    const { peer, end } = await pair(await listening(open, { tls }), tls, { maxVersion: version });
    peer.client.send('in secret');
    await end.until(() => end.count('message') === 1);
    expect(end.messages()).toEqual(['in secret']);
    expect(end.socket.remoteAddress).toBe('127.0.0.1');
  });

  it('refuses older TLS, plain HTTP and what is neither, and serves on', async () => {
    const { tls } = await certificate();
    const server = await listening(open, { tls });
    const old = connectTls({
      port: server.port,
      host: '127.0.0.1',
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      // Node's own side wouldn't offer it otherwise.
      ciphers: 'DEFAULT@SECLEVEL=0',
      rejectUnauthorized: false,
    });
    const [refusal] = await once(old, 'error').catch((error: unknown) => [error]);
    expect((refusal as { code: string }).code).toBe('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
    for (const bytes of [
      'GET / HTTP/1.1\r\nHost: a.example\r\n\r\n',
      Buffer.alloc(4_096),
      Buffer.from('160301', 'hex'),
    ]) {
      const raw = await RawPeer.connect(server.port);
      raw.write(bytes);
      if (bytes.length === 3) raw.tcp.resetAndDestroy();
      await raw.closed();
    }
    expect(server.acceptedCount).toBe(0);
    await pair(server, tls);
  });

  it('carries messages of all sizes, and several megabytes that come in one go and are answered at once', async () => {
    const { tls } = await certificate();
    const lengthOf = (message: Uint8Array | string) => Buffer.from(String(message.length));
    const server = await listening(open, { tls, onHeard: answer(lengthOf) });
    const { peer, end } = await pair(server, tls);
    const sizes = Array.from({ length: 800 }, (_, index) => (index * 7_919) % 20_000);
    sizes.push(100_000);
    for (const [index, size] of sizes.entries()) peer.client.send(Buffer.alloc(size, index));
    await peer.until(() => peer.messages.length === sizes.length || peer.close !== undefined);
    expect(peer.messages.map(String)).toEqual(sizes.map(String));
    expect(
      end.messages().every((message, index) => Buffer.alloc(sizes[index]!, index).equals(Buffer.from(message))),
    ).toBe(true);
  });

  it('sends what a peer reads late, and says when it has been taken', async () => {
    const { tls } = await certificate();
    const { peer, end } = await pair(await listening(open, { tls }), tls);
    peer.client.pause();
    const block = Buffer.alloc(500_000, 1);
    let sent = 0;
    while (end.socket.bufferedAmount() < 2 * block.length) {
      end.socket.send(block);
      sent += 1;
    }
    peer.client.resume();
    await end.until(() => end.count('drain') === 1);
    await peer.until(() => peer.messages.length === sent);
    expect(peer.messages.every((message) => block.equals(message as Buffer))).toBe(true);
    expect(end.socket.bufferedAmount()).toBe(0);
  });

  it('closes with codes both ways, in the order of what was said', async () => {
    const { tls } = await certificate();
    const server = await listening(open, {
      tls,
      onHeard: (heard, socket) => {
        if (heard.type === 'message' && heard.message === 'close') socket.close(4002, 'within');
        if (heard.type === 'message' && heard.message === 'terminate') socket.terminate();
      },
    });
    const ours = await pair(server, tls);
    ours.end.socket.send('before');
    ours.end.socket.close(4001, 'too slow');
    expect(await ours.peer.closed()).toEqual({ code: 4001, reason: 'too slow' });
    expect(ours.peer.messages).toEqual(['before']);
    expect(await ours.end.closed()).toEqual([4001]);

    const theirs = await pair(server, tls);
    theirs.peer.client.send('last words');
    theirs.peer.client.close(4321);
    expect(await theirs.end.closed()).toEqual([4321]);
    expect(theirs.end.heard.map(({ type }) => type)).toEqual(['message', 'close']);

    for (const [word, code] of [
      ['close', 4002],
      ['terminate', 1006],
    ] as const) {
      const within = await pair(server, tls);
      within.peer.client.send(word);
      within.peer.client.send('not any more');
      expect((await within.peer.closed()).code).toBe(code);
      expect(await within.end.closed()).toEqual([code]);
      expect(within.end.messages()).toEqual([word]);
    }
  });

  it('names a port that is in use', async () => {
    const { tls } = await certificate();
    const { port } = await listening(open, { tls });
    await expect(listening(open, { tls, port })).rejects.toThrow(/EADDRINUSE/);
    await expect(listening(open, { port })).rejects.toThrow(/EADDRINUSE/);
  });

  it('shows new peers a new certificate, and leaves connected ones alone', async () => {
    const { tls, folder, fingerprint } = await certificate();
    const server = await listening(open, { tls });
    const { port } = server;
    const { peer, end } = await pair(server, tls);
    expect(await fingerprintAt(port)).toBe(fingerprint);
    let previous = fingerprint;
    for (let count = 0; count < 3; count += 1) {
      const next = makeCertificate();
      server.transport.reloadTls!({ ...next, ...(await writeCertificate(folder, next)) });
      expect(server.port).toBe(port);
      expect(await fingerprintAt(port)).toBe(next.fingerprint);
      expect(await fingerprintAt(port, 'localhost')).toBe(next.fingerprint);
      expect(next.fingerprint).not.toBe(previous);
      previous = next.fingerprint;
      peer.client.send(`still here ${count}`);
      await end.until(() => end.count('message') === count + 1);
      end.socket.send('and so am I');
      await peer.until(() => peer.messages.length === count + 1);
      await pair(server, { ...tls, cert: next.cert });
    }
    await server.transport.close();
    expect(await end.closed()).toEqual([1006]);
    await expect(RawPeer.connect(port)).rejects.toThrow(/ECONNREFUSED/);
    server.transport.reloadTls!(tls);
    await expect(RawPeer.connect(port)).rejects.toThrow(/ECONNREFUSED/);
  });

  it('keeps its certificate where the new one is none', async () => {
    const { tls, folder, fingerprint } = await certificate();
    const server = await listening(open, { tls });
    const { peer, end } = await pair(server, tls);
    const other = makeCertificate();
    for (const bad of [
      { cert: other.cert, key: tls.key },
      { cert: 'no certificate', key: tls.key },
      { cert: other.cert, key: 'no key' },
    ]) {
      const files = await writeCertificate(folder, bad, 'bad');
      expect(() => server.transport.reloadTls!({ ...bad, ...files })).toThrow();
      expect(await fingerprintAt(server.port)).toBe(fingerprint);
    }
    peer.client.send('still here');
    await end.until(() => end.count('message') === 1);
  });

  it('refuses to start with a key of another certificate, and has nothing to reload without TLS', async () => {
    const { tls, folder } = await certificate();
    await writeFile(join(folder, 'tls.key'), makeCertificate().key);
    await expect(listening(open, { tls: { ...tls, key: makeCertificate().key } })).rejects.toThrow();
    expect('reloadTls' in (await listening(open)).transport).toBe(false);
  });
}

/** Files of a new certificate in a folder that goes with the test. */
export async function certificate(): Promise<{ tls: TlsFiles; folder: string; fingerprint: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'leasehold-tls-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const { fingerprint, ...pems }: TestCertificate = makeCertificate();
  return { tls: { ...pems, ...(await writeCertificate(folder, pems)) }, folder, fingerprint };
}

async function pair(
  server: Listening,
  { cert }: Pick<TlsFiles, 'cert'>,
  options: { readonly maxVersion?: 'TLSv1.2' | 'TLSv1.3' } = {},
): Promise<{ peer: Peer; end: Accepted }> {
  const [peer, end] = await Promise.all([
    Peer.connect(`wss://127.0.0.1:${server.port}`, [], { ca: cert, ...options }),
    server.accepted(),
  ]);
  return { peer, end };
}

/** Of a new connection: without a server name, which an IP address has none of, or with one. */
async function fingerprintAt(port: number, servername?: string): Promise<string> {
  const socket: TLSSocket = connectTls({
    port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ...(servername === undefined ? {} : { servername }),
  });
  await once(socket, 'secureConnect');
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

function answer(answerTo: (message: Uint8Array | string) => Uint8Array) {
  return (heard: Heard, socket: Accepted['socket']) => {
    if (heard.type === 'message') socket.send(answerTo(heard.message));
  };
}
