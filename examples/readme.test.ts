import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { get } from 'node:https';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { dataFolder, startCoordinator } from '../server/testing/coordinator-process.ts';
import { isSkipped } from '../server/testing/is-skipped.ts';
import { serveRedirects } from '../server/testing/redirect-client.ts';
import { openProxies } from './demo-proxies.ts';
import { openSite } from './demo-site.ts';

const ROOT = join(import.meta.dirname, '..');
const run = promisify(execFile);
const whyNoOpenssl = spawnSync('openssl', ['version']).status === 0 ? undefined : 'openssl is not installed';

/** What the README shows is what there is: its commands and its ten lines are run here. */
describe('the README', () => {
  it('shows the ten lines of examples/ten-lines.ts, which lease and fetch', async () => {
    const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
    const shown = /```ts\n([^]*?)```/.exec(readme)?.[1];
    const source = await readFile(join(import.meta.dirname, 'ten-lines.ts'), 'utf8');
    expect(shown).toBe(source.replace("'../protocol/client.ts'", "'leasehold/client'"));

    const [site, proxies] = [await openSite(), await openProxies(1)];
    onTestFinished(async () => {
      await proxies.close();
      await site.close();
    });
    const pool = proxies.list.map(({ address }) => ({ address, country: 'US', rpw: 0, resource_ids: [7] }));
    const { dir, poolFile } = await dataFolder(pool);
    const coordinator = await startCoordinator(['--data-dir', dir, '--pool', poolFile]);
    const program = join(ROOT, 'dist/examples/ten-lines.js');
    const page = `http://127.0.0.1:${site.port}/r/7/page/1`;
    const { stdout } = await run(process.execPath, [program, `ws://127.0.0.1:${coordinator.port}`, page]);
    expect(stdout).toMatch(/^\d+ http:\/\/\S+ 200 \d+\n$/);
  });

  it('shows commands that the sample pool answers', async () => {
    const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
    const { dir } = await dataFolder();
    const flags = ['--data-dir', dir, '--pool', join(ROOT, 'examples/pool.json'), '--redirect-port', '0'];
    const coordinator = await startCoordinator(flags);
    const commands = [
      ...readme.matchAll(
        /^curl (?:-X ([A-Z]+) )?(?:-H 'Content-Type: (\S+)' )?(?:-d (?:'([^']*)'|@(\S+)) )?'?localhost:7401([^\s']+)/gm,
      ),
    ];
    expect(commands).toHaveLength(readme.match(/^curl (?!--cacert|-N|-i)/gm)!.length);
    let lease = 0;
    for (const [, method, type, given, file, path = ''] of commands) {
      const url = `http://127.0.0.1:${coordinator.adminPort}${path.replace('/N', `/${lease}`)}`;
      const body = file === undefined ? given : await readFile(join(ROOT, file), 'utf8');
      const headers: Record<string, string> = type === undefined ? {} : { 'Content-Type': type };
      const init = body === undefined ? { method: method ?? 'GET' } : { method: method ?? 'POST', body, headers };
      const response = await fetch(url, init);
      expect([path, response.ok]).toEqual([path, true]);
      const text = await response.text();
      if (!response.headers.get('content-type')?.includes('json')) {
        expect(text).not.toBe('');
        continue;
      }
      // The lease N of the commands that follow.
      lease = (JSON.parse(text) as { lease?: number }).lease ?? lease;
    }
  });

  it('shows where a video leads to, by the CDN that it shows', async () => {
    const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
    const [, flags] = /^npm start -- --redirect-port 8080 (.*)$/m.exec(readme)!;
    const [, path, location] = /^curl -i 'localhost:8080(\S+)' +# 301 to ([^\s;]+);/m.exec(readme)!;
    const { redirectPort } = await serveRedirects({}, { flags: flags!.split(' ') });
    const answer = await fetch(`http://127.0.0.1:${redirectPort}${path}`, { redirect: 'manual' });
    expect([answer.status, answer.headers.get('location')]).toEqual([301, location]);
  });

  it.skipIf(isSkipped('the TLS commands of the README', whyNoOpenssl))('shows how to serve with TLS', async () => {
    const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
    const makeCertificate = /^openssl req (?:.*\\\n)*.*$/m.exec(readme)![0];
    const flags = /^npm start -- (.*--tls-cert.*)$/m.exec(readme)![1]!.split(' ');
    const [, authority, path] = /^curl --cacert (\S+) https:\/\/localhost:7401(\S+)$/m.exec(readme)!;
    const { dir } = await dataFolder();
    const folder = join(dir, '..');
    await run('sh', ['-c', makeCertificate], { cwd: folder });
    const inFolder = flags.map((flag) => (flag.startsWith('--') ? flag : join(folder, flag)));
    const coordinator = await startCoordinator(['--data-dir', dir, ...inFolder]);
    const ca = await readFile(join(folder, authority!), 'utf8');
    const [response] = await once(get(`https://localhost:${coordinator.adminPort}${path}`, { ca }), 'response');
    response.resume();
    expect(response.statusCode).toBe(200);
  });

  it('names a package entry that another package can import, with its types', async () => {
    const { exports: entries } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
      exports: Record<string, { types: string; default: string }>;
    };
    const entry = entries['./client']!;
    expect(await readFile(join(ROOT, entry.types), 'utf8')).toContain('connect');
    const script = "import('leasehold/client').then((it) => console.log(typeof it.connect))";
    const { stdout } = await run(process.execPath, ['-e', script], { cwd: ROOT });
    expect(stdout).toBe('function\n');
  });
});
