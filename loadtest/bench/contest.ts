/**
 * Contestants under one load, in turns, round after round in one run: what disturbs the machine in a round disturbs all of
 * them, so that the ratio of a round says more than the figures it is made of.
 */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Contestant, Running } from './contestants/contestant.ts';
import { GeneratorProcess } from './generator/generator-process.ts';
import type { Latencies, LoadResult, LoadTask } from './generator/task.ts';
import { withFolder } from './processes.ts';
import type { RowContext } from './row.ts';
import { median } from './statistics.ts';

/** Connections, caches, compilers: before the first round, and as a share of a turn before each. */
const FIRST_WARM_UP_MS = 2_000;
const WARM_UP_SHARE = 0.15;

export interface Load {
  readonly sessions: number;
  readonly inFlight: number;
}

/** One window of one contestant. */
export interface Turn {
  readonly perSecond: number;
  readonly latencies: Latencies;
  /** Cores that it kept busy, and the generator. */
  readonly serverCpu: number;
  readonly generatorCpu: number;
}

export interface Score {
  readonly name: string;
  readonly commandLine: string;
  /** By round. */
  readonly turns: readonly Turn[];
}

export interface Contest {
  readonly scores: readonly Score[];
  /** Who isn't there, and how to get it. */
  readonly missing: readonly string[];
}

interface Entrant extends Running {
  readonly contestant: Contestant;
  readonly generator: GeneratorProcess;
  readonly turns: Turn[];
}

/**
 * `aroundFirst`, where given, is done before and after each turn of the first, when nobody is under load. Throws where a
 * contestant fails a single request.
 */
export async function contest(
  contestants: readonly Contestant[],
  load: Load,
  { dir, seconds, rounds, say }: RowContext,
  aroundFirst?: (folder: string) => void,
): Promise<Contest> {
  return withFolder(dir, async (folder) => {
    const entrants: Entrant[] = [];
    const missing: string[] = [];
    try {
      for (const contestant of contestants) {
        const why = contestant.missing();
        if (why === undefined) entrants.push(await enter(contestant, join(folder, String(entrants.length))));
        else missing.push(why);
        if (why !== undefined) say(why);
      }
      for (const entrant of entrants) {
        await turn(entrant, load, { warmUpMs: 0, measureMs: FIRST_WARM_UP_MS });
      }
      for (let round = 1; round <= rounds; round += 1) {
        for (let place = 0; place < entrants.length; place += 1) {
          // Another one begins in each round: nobody always follows the same one.
          const entrant = entrants[(round - 1 + place) % entrants.length]!;
          const isFirst = entrant === entrants[0];
          if (isFirst) aroundFirst?.(folder);
          const window = { warmUpMs: seconds * 1_000 * WARM_UP_SHARE, measureMs: seconds * 1_000 };
          const one = await turn(entrant, load, window);
          entrant.turns.push(one);
          if (isFirst) aroundFirst?.(folder);
          say(`round ${round} of ${rounds}, ${entrant.contestant.name}: ${Math.round(one.perSecond)} operations/s`);
        }
      }
    } finally {
      for (const { generator } of entrants) generator.stop();
      await Promise.all(entrants.map(({ server }) => server.stop()));
    }
    const scores = entrants.map(({ contestant: { name }, server, turns }) => {
      return { name, commandLine: server.commandLine.replaceAll(folder, 'FOLDER'), turns };
    });
    return { scores, missing };
  });
}

async function enter(contestant: Contestant, folder: string): Promise<Entrant> {
  await mkdir(folder);
  const running = await contestant.start(folder);
  return { ...running, contestant, generator: new GeneratorProcess(), turns: [] };
}

async function turn(
  { contestant, server, port, generator }: Entrant,
  { sessions, inFlight }: Load,
  window: Pick<LoadTask, 'warmUpMs' | 'measureMs'>,
): Promise<Turn> {
  const edges: Promise<number>[] = [];
  const task: LoadTask = { speaks: contestant.speaks, port, sessions, inFlight, ...window };
  const result = await generator
    .run(task, () => edges.push(server.cpuSeconds()))
    .catch((cause: unknown) => {
      throw new Error(`${contestant.name}: ${(cause as Error).message}`, { cause });
    });
  const [begunSeconds = Number.NaN, endedSeconds = Number.NaN] = await Promise.all(edges);
  return {
    perSecond: perSecond(result),
    latencies: result.all,
    serverCpu: (endedSeconds - begunSeconds) / (result.windowMs / 1_000),
    generatorCpu: result.generatorCpu,
  };
}

function perSecond({ operations, windowMs }: LoadResult): number {
  return operations / (windowMs / 1_000);
}

/** The median of a figure over all rounds. */
export function medianOf({ turns }: Score, figure: (turn: Turn) => number): number {
  return median(turns.map(figure));
}

/** The median of the rounds' ratios. */
export function ratioOf(ours: Score, peer: Score, figure: (turn: Turn) => number): number {
  return median(ours.turns.map((one, round) => figure(one) / figure(peer.turns[round]!)));
}
