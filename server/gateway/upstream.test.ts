import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { PROJECT_DIR } from '../testing/project.ts';

const GATEWAY = join(PROJECT_DIR, 'dist/server/gateway');

it('a machine that is out of descriptors blames no address', async () => {
  const script = `
    import { openSync } from 'node:fs';
    import { openThrough } from ${JSON.stringify(join(GATEWAY, 'upstream.js'))};
    try { for (;;) openSync('/dev/null', 'r'); } catch (error) { console.log(error.code); }
    const upstream = { scheme: 'http', host: '127.0.0.1', port: 9, credentials: undefined };
    const scheduler = { setTimer: () => () => {}, defer: setImmediate };
    const { signal } = new AbortController();
    const clock = { nowMs: () => performance.now() };
    const opened = await openThrough(upstream, undefined, { timeoutMs: 10_000, clock, scheduler, signal });
    console.log(opened.fault.reason, opened.fault.fault);
  `;
  const command = `ulimit -n 64; exec '${process.execPath}' --input-type=module -e "$0"`;
  const { stdout } = await promisify(execFile)('sh', ['-c', command, script]);
  expect(stdout.split('\n')).toEqual(['EMFILE', 'overloaded undefined', '']);
});
