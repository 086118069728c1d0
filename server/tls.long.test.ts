import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { open, readdir, rm } from 'node:fs/promises';
import { request } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { connect } from '../protocol/client.ts';
import {
  type CertificateFiles,
  makeCertificate,
  type TestCertificate,
  writeCertificate,
} from './testing/certificates.ts';
import {
  type CoordinatorProcess,
  dataFolder,
  runCoordinator,
  samplePool,
  startCoordinator,
} from './testing/coordinator-process.ts';
import { PROJECT_DIR } from './testing/project.ts';
import { WireClient } from './testing/wire-client.ts';

const acquire = { type: 'acquire', resource: 7, ttl_ms: 60_000 };

async function setUp() {
  const { dir, poolFile } = await dataFolder(samplePool(2));
  const folder = join(dir, '..');
  const first = makeCertificate({ name: 'first' });
  const files = await writeCertificate(folder, first);
  return { folder, first, files, dir, flags: ['--data-dir', dir, '--pool', poolFile] };
}

function tlsFlags({ certFile, keyFile }: CertificateFiles): string[] {
  return ['--tls-cert', certFile, '--tls-key', keyFile, '--admin-tls-cert', certFile, '--admin-tls-key', keyFile];
}

/** Waits for `count` lines that hold `text`. */
async function said({ output }: Pick<CoordinatorProcess, 'output'>, text: string, count: number): Promise<string[]> {
  const lines = () => output.filter((line) => line.includes(text));
  await expect.poll(() => lines().length, { timeout: 10_000 }).toBe(count);
  return lines();
}

async function fingerprintAt(port: number): Promise<string> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

async function statusOf(port: number, { cert }: TestCertificate, headers: Record<string, string> = {}) {
  const sent = request({ port, host: '127.0.0.1', path: '/v1/leases', ca: cert, headers, agent: false }).end();
  const [response] = await once(sent, 'response');
  response.resume();
  return response.statusCode as number;
}

describe.each(['uws', 'ws'])('the coordinator with TLS over %s', (transport) => {
  it('takes new certificates on SIGHUP, keeps them where the next are bad, and no session notices', async () => {
    const { folder, first, files, flags } = await setUp();
    const coordinator = await startCoordinator([...flags, ...tlsFlags(files), '--transport', transport]);
    const { port, adminPort } = coordinator;
    expect(coordinator.output.join('\n')).toContain(`"transport":"${transport}"`);
    const client = await WireClient.openAt(`wss://127.0.0.1:${port}`, { ca: first.cert });
    await client.request({ type: 'hello', protocol: 1 }, 'welcome');
    const { lease } = (await client.request(acquire, 'granted')) as { lease: number };
    const ports = [port, adminPort];
    const fingerprints = () => Promise.all(ports.map(fingerprintAt));
    expect(await fingerprints()).toEqual([first.fingerprint, first.fingerprint]);

    process.kill(coordinator.pid, 'SIGHUP');
    await said(coordinator, 'certificate unchanged', 2);

    const second = makeCertificate({ name: 'second' });
    await writeCertificate(folder, second);
    process.kill(coordinator.pid, 'SIGHUP');
    const [line] = await said(coordinator, 'certificate reloaded', 2);
    expect(JSON.parse(line!)).toMatchObject({
      level: 'info',
      listener: 'websocket',
      certFile: files.certFile,
      subject: 'CN=second',
      notAfter: expect.stringMatching(/^\d{4}-.*Z$/),
      fingerprint: second.fingerprint,
    });
    expect(await fingerprints()).toEqual([second.fingerprint, second.fingerprint]);
    await client.request({ type: 'renew', lease }, 'renewed');

    await writeCertificate(folder, { cert: makeCertificate().cert, key: second.key });
    process.kill(coordinator.pid, 'SIGHUP');
    const [refusal] = await said(coordinator, 'serving on with the certificate as it was', 2);
    expect(JSON.parse(refusal!)).toMatchObject({
      level: 'error',
      msg: expect.stringContaining(`${files.keyFile}: not the key of the certificate in ${files.certFile}`),
    });
    await rm(files.keyFile);
    process.kill(coordinator.pid, 'SIGHUP');
    await said(coordinator, `can't read ${files.keyFile}: ENOENT`, 2);
    expect(await fingerprints()).toEqual([second.fingerprint, second.fingerprint]);

    const late = await WireClient.openAt(`wss://127.0.0.1:${port}`, { ca: second.cert });
    await late.request({ type: 'hello', protocol: 1 }, 'welcome');
    await client.request({ type: 'release', lease }, 'released');
    await late.request(acquire, 'granted');
    expect(await statusOf(adminPort, second)).toBe(200);
    expect(coordinator.output.join('\n')).not.toContain('PRIVATE KEY');
    expect((await coordinator.kill('SIGTERM')).code).toBe(0);
  });

  it('serves the client library, which trusts what it is told to trust', async () => {
    const { first, files, flags } = await setUp();
    const { port } = await startCoordinator([...flags, ...tlsFlags(files), '--transport', transport]);
    const url = `wss://localhost:${port}`;
    await expect(connect({ url, reconnect: false })).rejects.toThrow();
    class TrustingWebSocket extends WebSocket {
      constructor(address: string, protocols: string[]) {
        super(address, protocols, { ca: first.cert });
      }
    }
    await using client = await connect({ url, reconnect: false, WebSocket: TrustingWebSocket });
    const lease = await client.acquire({ resource: 7, ttlMs: 60_000 });
    await lease.release();

    const library = pathToFileURL(join(PROJECT_DIR, 'dist/protocol/client.js'));
    const program = `const { connect } = await import('${library.href}');
      const client = await connect({ url: '${url}', reconnect: false });
      await client.close();
      console.log('served');`;
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: files.certFile };
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { env });
    expect(stdout).toBe('served\n');
  });
});

describe('the coordinator with TLS', () => {
  it('serves the HTTP API to our own pages only, and over TLS only', async () => {
    const { first, files, flags } = await setUp();
    const { adminPort } = await startCoordinator([...flags, ...tlsFlags(files)]);
    const host = `127.0.0.1:${adminPort}`;
    expect(await statusOf(adminPort, first, { Origin: `https://${host}`, 'Sec-Fetch-Site': 'same-origin' })).toBe(200);
    expect(await statusOf(adminPort, first, { Origin: 'https://elsewhere.example' })).toBe(403);
    await expect(fetch(`http://${host}/healthz`)).rejects.toThrow();
    expect(await statusOf(adminPort, first)).toBe(200);
  });

  it('stops in order with peers whose TLS handshake is not over', async () => {
    const { files, flags } = await setUp();
    const coordinator = await startCoordinator([...flags, ...tlsFlags(files)]);
    const peers = [coordinator.port, coordinator.adminPort].map((to) => connectTcp(to, '127.0.0.1'));
    await Promise.all(peers.map((peer) => once(peer, 'connect')));
    const closed = peers.map((peer) => once(peer, 'close'));
    expect((await coordinator.kill('SIGTERM')).code).toBe(0);
    await Promise.all(closed);
  });

  it.each([
    ['no such file', { certFile: 'gone.crt' }, "can't read gone.crt: ENOENT"],
    ['a file that holds no certificate', { certFile: 'package.json' }, 'package.json: holds no certificate in PEM'],
    ['a file that holds no key', { keyFile: 'package.json' }, 'package.json: holds no private key in PEM'],
  ])('refuses to start with %s, with exit code 64, before anything is written', async (_what, bad, problem) => {
    const { files, flags, dir } = await setUp();
    const { code, output } = await runCoordinator([...flags, ...tlsFlags({ ...files, ...bad })]).exited;
    expect([code, output]).toEqual([64, [expect.stringContaining(problem)]]);
    await expect(readdir(dir)).rejects.toThrow(/ENOENT/);
  });

  it('starts with a certificate that has expired, and says so', async () => {
    const { folder, flags } = await setUp();
    const files = await writeCertificate(folder, makeCertificate({ endsMs: Date.UTC(2025, 0, 1) }));
    const coordinator = await startCoordinator([...flags, ...tlsFlags(files)]);
    const [line] = await said(coordinator, 'it has expired on 2025-01-01', 2);
    expect(line).toContain('"level":"warn"');
  });

  it('makes up for a SIGHUP that came during the start', async () => {
    const { folder, flags, files } = await setUp();
    const pool = join(folder, 'pool.fifo');
    await promisify(execFile)('mkfifo', [pool]);
    const run = runCoordinator([...flags, ...tlsFlags(files), '--pool', pool]);
    // Once it reads its pool, which has no end before we say so.
    const writer = await open(pool, 'w');
    run.child.kill('SIGHUP');
    await writer.writeFile(JSON.stringify(samplePool(1)));
    await writer.close();
    await said(run, 'certificate unchanged', 2);
    await said(run, '"msg":"ready"', 1);
  });

  it('lives through a SIGHUP without TLS, and says that there is nothing to reload', async () => {
    const { flags } = await setUp();
    const coordinator = await startCoordinator(flags);
    process.kill(coordinator.pid, 'SIGHUP');
    await said(coordinator, 'nothing to reload: no listener has TLS', 1);
    const { client } = await WireClient.hello(coordinator.port);
    await client.request(acquire, 'granted');
  });
});
