/**
 * Five targets behind the reverse proxy, and a steady client: one of the targets is stopped and started again, and nobody
 * notices but the table.
 *
 *   npm run example:balancer                                                 # five minutes
 *   npm run example:balancer -- --seconds 12 --stop-at 4 --start-at 8        # the same in short
 *
 * At the end all five are stopped: the answer is then 500 `All servers is off`, as the configuration says.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Child, CoordinatorProcess, freePort, nodeProgram, until } from '../demo-processes.ts';
import { type Cleanup, parseFlags, positive, runExample, UsageError } from '../run-example.ts';
import { countPhases, isEven, type Phase, type Reply, table } from './phases.ts';

const USAGE = `usage: npm run example:balancer -- [--seconds N] [--stop-at N] [--start-at N] [--interval-ms N]
  --seconds N      how long the client goes on (default: 300)
  --stop-at N      second at which the third target is stopped (default: 100)
  --start-at N     second at which it is started again (default: 200)
  --interval-ms N  time between requests (default: 200)
`;
const TARGETS = 5;
/** The one that is stopped, counted from 0. */
const STOPPED = 2;
const READY_MS_MAX = 30_000;
const REQUEST_TIMEOUT_MS = 10_000;
/** A target is probed so often while it is away. */
const PROBE_MS = 500;
/** A target that is back is in use after a probe, and the round that it comes into begins at once. */
const BACK_MS_MAX = 3 * PROBE_MS;
const GREETING = 'Hello, world!';
const ALL_DOWN = { status: 500, text: 'All servers is off' } as const;
const HEARTBEAT_MS = 10_000;

interface Flags {
  readonly seconds: number;
  readonly stopAt: number;
  readonly startAt: number;
  readonly intervalMs: number;
}

function readFlags(args: readonly string[]): Flags {
  const text = { type: 'string' } as const;
  const values = parseFlags(args, { seconds: text, 'stop-at': text, 'start-at': text, 'interval-ms': text });
  const seconds = positive('seconds', values.seconds, 300);
  const stopAt = positive('stop-at', values['stop-at'], 100);
  const startAt = positive('start-at', values['start-at'], 200);
  const intervalMs = positive('interval-ms', values['interval-ms'], 200);
  if (!(stopAt < startAt && startAt < seconds)) {
    throw new UsageError('expected --stop-at before --start-at before --seconds');
  }
  return { seconds, stopAt, startAt, intervalMs };
}

/** A target on a port of its own, which stays the same over a stop and a start. */
class Target {
  readonly port: number;
  #child: Child | undefined;

  constructor(port: number) {
    this.port = port;
  }

  get name(): string {
    return String(this.port);
  }

  async start(signal: AbortSignal): Promise<void> {
    const child = new Child(nodeProgram([join(import.meta.dirname, 'target.js'), '--port', this.name]));
    this.#child = child;
    await until(`target ${this.name}`, READY_MS_MAX, signal, () => {
      if (child.exit) throw new Error(`target ${this.name} didn't start:\n${child.output}`);
      return child.output.includes('listening') || undefined;
    });
  }

  /** As a crash would. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#child?.exited;
  }
}

/** Status, body and the target's own word on who it is. */
function get(port: number, agent: Agent): Promise<{ status: number; body: string; target: string | undefined }> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, agent, timeout: REQUEST_TIMEOUT_MS }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        body += text;
      });
      response.on('error', reject);
      response.on('end', () => {
        const target = response.headers['x-target'];
        resolve({ status: response.statusCode ?? 0, body, target: typeof target === 'string' ? target : undefined });
      });
    });
    asked.on('timeout', () => asked.destroy(new Error(`no answer within ${REQUEST_TIMEOUT_MS} ms`)));
    asked.on('error', reject);
    asked.end();
  });
}

interface Run {
  readonly gatewayPort: number;
  readonly targets: readonly Target[];
  readonly signal: AbortSignal;
}

/** Asks on and on, and stops and starts the third target on the way. */
async function drive({ gatewayPort, targets, signal }: Run, flags: Flags) {
  const agent = new Agent({ keepAlive: true });
  const replies: Reply[] = [];
  const startMs = performance.now();
  const elapsedMs = () => performance.now() - startMs;
  const third = targets[STOPPED]!;
  const moments = { stoppedMs: Infinity, startedMs: Infinity };
  const change = async () => {
    await sleep(flags.stopAt * 1_000, undefined, { signal });
    moments.stoppedMs = elapsedMs();
    await third.kill();
    console.log(`second ${Math.round(elapsedMs() / 1_000)}: target ${STOPPED + 1} is stopped`);
    await sleep(flags.startAt * 1_000 - elapsedMs(), undefined, { signal });
    await third.start(signal);
    moments.startedMs = elapsedMs();
    console.log(`second ${Math.round(elapsedMs() / 1_000)}: target ${STOPPED + 1} is started again`);
  };
  const ask = async () => {
    while (elapsedMs() < flags.seconds * 1_000) {
      const atMs = elapsedMs();
      const reply = await get(gatewayPort, agent).catch((error: Error) => ({
        status: 0,
        body: error.message,
        target: undefined,
      }));
      const ok = reply.status === 200 && reply.body === GREETING;
      if (!ok) console.log(`second ${Math.round(atMs / 1_000)}: failed: ${reply.status} ${reply.body}`);
      replies.push({ atMs, target: reply.target, ok });
      await sleep(Math.max(0, atMs + flags.intervalMs - elapsedMs()), undefined, { signal });
    }
  };
  await Promise.all([change(), ask()]);
  agent.destroy();
  return { replies, ...moments, endMs: elapsedMs() };
}

/** All five down: what the configuration says. */
async function allDown({ gatewayPort, targets }: Run): Promise<boolean> {
  await Promise.all(targets.map((target) => target.kill()));
  const agent = new Agent();
  const { status, body } = await get(gatewayPort, agent);
  console.log(`all targets stopped: ${status} ${body}`);
  return status === ALL_DOWN.status && body === ALL_DOWN.text;
}

async function run(flags: Flags, signal: AbortSignal, cleanups: Cleanup[]): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'leasehold-balancer-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  const targets: Target[] = [];
  for (let index = 0; index < TARGETS; index += 1) targets.push(new Target(await freePort()));
  await Promise.all(targets.map((target) => target.start(signal)));
  const [port, adminPort, gatewayPort] = [await freePort(), await freePort(), await freePort()];
  const pool = join(folder, 'pool.json');
  await writeFile(pool, '[]');
  const gateway = new CoordinatorProcess({
    port,
    adminPort,
    dataDir: join(folder, 'snapshots'),
    pool,
    heartbeatMs: HEARTBEAT_MS,
    flags: {
      'reverse-port': String(gatewayPort),
      targets: targets.map(({ name }) => `127.0.0.1:${name}`).join(','),
      'route-defaults': JSON.stringify({
        all_down_status: ALL_DOWN.status,
        all_down_text: ALL_DOWN.text,
        probe_interval_ms: PROBE_MS,
      }),
    },
  });
  cleanups.push(() => gateway.stop());
  await gateway.start(signal);
  console.log(`${TARGETS} targets behind http://127.0.0.1:${gatewayPort}, one request every ${flags.intervalMs} ms`);
  const started = { gatewayPort, targets, signal };
  const { replies, stoppedMs, startedMs, endMs } = await drive(started, flags);
  const names = targets.map(({ name }) => name);
  const others = names.filter((_, index) => index !== STOPPED);
  const backMs = startedMs + BACK_MS_MAX;
  const phases: Phase[] = [
    { name: 'before', fromMs: 0, toMs: stoppedMs, targets: names },
    { name: 'during', fromMs: stoppedMs, toMs: startedMs, targets: others },
    { name: 'after', fromMs: backMs, toMs: endMs, targets: names },
  ];
  const counts = countPhases(replies, phases, names);
  for (const line of table(counts, names)) console.log(line);
  const failed = replies.filter(({ ok }) => !ok).length;
  console.log(`failed requests: ${failed} of ${replies.length}`);
  const isAsItShouldBe = (await allDown(started)) && failed === 0 && counts.every(isEven);
  if (!isAsItShouldBe) console.log('NOT AS IT SHOULD BE');
  return isAsItShouldBe ? 0 : 1;
}

await runExample(USAGE, ({ args, signal, cleanups }) => run(readFlags(args), signal, cleanups));
