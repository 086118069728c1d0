/**
 * The journal's own process (journal-child.ts) while one of its system calls fails or is its last: each call that changes
 * the folder, one after the other, from the recovery of what a crash left on, over rotations and snapshots.
 */
import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { PROJECT_DIR } from '../project.ts';
import type { FaultRun } from './fault-run.ts';
import { finding } from './finding.ts';
import { type ChildRun, type Fault, faultOf, judge } from './journal-verdict.ts';
import {
  CHANGING_CALLS,
  ONE_FILE_THREAD,
  parseTrace,
  straceWrapper,
  type TracedCall,
  type TraceOptions,
} from './strace.ts';

const NAME = 'system-call-faults';
const FAULTS: readonly Fault[] = ['EIO', 'ENOSPC', 'kill'];
const LANES_MAX = 2;
/** Small, so that each segment and snapshot is a few calls, and fifty calls are several of both. */
const CHILD = { batches: 40, eventsMax: 400, batchBytesMax: 20_480, segmentBytes: 73_728, snapshotBytes: 32_768 };
const CHILD_FILE = join(PROJECT_DIR, 'dist/server/testing/journal-child.js');

/** One folder that a crash left, and the calls of an undisturbed run over it. */
interface World {
  readonly seed: number;
  readonly template: string;
  /** Where the undisturbed run was. */
  readonly dir: string;
  readonly calls: readonly TracedCall[];
}

interface Case {
  readonly world: World;
  readonly call: TracedCall;
  readonly fault: Fault;
  readonly number: number;
}

/** Case by case: the first call fails with EIO, with ENOSPC, is never made; then the second; then, if asked, another world. */
export const systemCallFaults: FaultRun = async ({ seed, cases, onProgress }) => {
  const folder = await mkdtemp(join(tmpdir(), 'leasehold-calls-'));
  try {
    const queue = casesOf(folder, seed, cases);
    const findings: string[] = [];
    let doneCount = 0;
    const lane = async () => {
      // The next one of the shared queue: the lanes take turns.
      for await (const one of queue) {
        const found = await runCase(folder, one);
        doneCount += 1;
        onProgress?.(doneCount);
        if (found === undefined) continue;
        const { call, nth, arguments: given } = one.call;
        const [file = 'the folder'] = /[\w-]+\.(delta|snapshot)(\.tmp)?/.exec(given) ?? [];
        const what = `case ${one.number}, ${one.fault} at ${call} ${nth} of ${file}: ${found}`;
        findings.push(finding(NAME, seed, what));
      }
    };
    await Promise.all(Array.from({ length: Math.min(LANES_MAX, availableParallelism()) }, lane));
    return { cases: doneCount, findings };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

async function* casesOf(folder: string, seed: number, cases: number): AsyncGenerator<Case> {
  let number = 0;
  for (let world = 0; number < cases; world += 1) {
    const made = await makeWorld(folder, seed + world);
    for (const call of made.calls.filter((one) => isBoundary(one, made.dir))) {
      for (const fault of FAULTS) {
        if (number === cases) return;
        number += 1;
        yield { world: made, call, fault, number };
      }
    }
  }
}

async function makeWorld(folder: string, seed: number): Promise<World> {
  const template = await mkdtemp(join(folder, 'template-'));
  const before = await runChild(template, { seed, batches: 10, dies: true });
  if (before.signal !== 'SIGKILL') throw new Error(`the run before ended with ${before.code}: ${before.output}`);
  const dir = await copyOf(folder, template);
  const undisturbed = await runChild(dir, { seed }, { trace: `${dir}.trace` });
  if (undisturbed.code !== 0) throw new Error(`undisturbed, it ended with ${undisturbed.code}: ${undisturbed.output}`);
  return { seed, template, dir, calls: undisturbed.calls };
}

/** Whether the call changes the folder, makes a change durable, or opens the folder for that. */
function isBoundary({ call, arguments: given }: TracedCall, dir: string): boolean {
  if (!given.includes(dir)) return false;
  return call !== 'openat' || /O_CREAT|O_DIRECTORY/.test(given);
}

async function copyOf(folder: string, template: string): Promise<string> {
  const dir = await mkdtemp(join(folder, 'case-'));
  await cp(template, dir, { recursive: true });
  return dir;
}

async function runCase(folder: string, { world, call, fault }: Case): Promise<string | undefined> {
  const dir = await copyOf(folder, world.template);
  const { nth, path } = placeOf(world, call);
  const inject = `${call.call}:${fault === 'kill' ? 'signal=KILL' : `error=${fault}`}:when=${nth}`;
  try {
    const traced = { trace: `${dir}.trace`, inject, ...(path === undefined ? {} : { paths: [join(dir, path)] }) };
    const run = await runChild(dir, { seed: world.seed }, traced);
    const hit = faultOf(run, fault, call.call, dir);
    if (!hit) return `the fault did not come: ended with ${run.signal ?? run.code}`;
    return await judge(dir, run, hit, fault, CHILD);
  } finally {
    await rm(dir, { recursive: true, force: true });
    await rm(`${dir}.trace`, { force: true });
  }
}

/** Every thread opens files, modules among them: an `openat` is counted among those of its own path instead. */
function placeOf({ dir, calls }: World, { call, nth, arguments: given }: TracedCall): { nth: number; path?: string } {
  if (call !== 'openat') return { nth };
  const [, path = ''] = /"([^"]+)"/.exec(given) ?? [];
  const before = calls.filter(
    (other) => other.call === call && other.nth <= nth && other.arguments.includes(`"${path}"`),
  );
  return { nth: before.length, path: relative(dir, path) };
}

async function runChild(dir: string, options: object, traced?: Omit<TraceOptions, 'calls'>): Promise<ChildRun> {
  const wrapper = traced ? straceWrapper({ ...traced, calls: CHANGING_CALLS }) : [];
  const [command, ...rest] = [...wrapper, process.execPath, CHILD_FILE, dir, JSON.stringify({ ...CHILD, ...options })];
  const env = { PATH: process.env['PATH'], ...ONE_FILE_THREAD };
  const child = spawn(command!, rest, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (output += text.toString()));
  // Closed when the tracer is gone as well: the trace is whole then.
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((done) => {
    child.on('close', (...exit) => done(exit));
  });
  const calls = traced ? parseTrace(await readFile(traced.trace, 'utf8')) : [];
  return { code, signal, output, calls };
}
