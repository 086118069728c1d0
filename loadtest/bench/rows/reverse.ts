import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { otherBench } from '../other-bench.ts';
import { isInstalled, ROOT } from '../processes.ts';
import type { Row } from '../row.ts';
import { median } from '../statistics.ts';

const RATIO_MIN = 1;
const OURS = 'Leasehold, no line a request';
/** The fastest Node reverse proxy library that was found; it writes no line for a request either. */
const PEER = 'http-proxy-3, no line a request';

/** As gateway-bench.ts writes it. */
interface Contestant {
  readonly name: string;
  readonly rounds: readonly { readonly perSecond: number; readonly p99Ms: number; readonly failed: number }[];
}

export const reverse: Row = {
  name: 'reverse',
  title: 'reverse proxy, small answers, to http-proxy-3',
  figure: `≥ ${RATIO_MIN.toFixed(1)} ×`,
  async run(context) {
    const missing = missingThings();
    if (missing !== undefined) return { measures: [], isReached: undefined, missing };
    const turns = ['--seconds', String(Math.ceil(context.seconds)), '--rounds', String(context.rounds)];
    const contestants = await otherBench<Contestant[]>(
      'loadtest/gateway-bench.js',
      (folder) => ['--row', 'reverse', '--dir', folder, ...turns],
      context,
    );
    const ratesOf = (wanted: string) =>
      contestants.find(({ name }) => name === wanted)!.rounds.map(({ perSecond }) => perSecond);
    const [ours, peer] = [ratesOf(OURS), ratesOf(PEER)];
    const ratio = median(ours.map((rate, round) => rate / peer[round]!));
    const failed = contestants.flatMap(({ rounds }) => rounds).reduce((sum, round) => sum + round.failed, 0);
    if (failed > 0) throw new Error(`${failed} requests failed`);
    return {
      measures: [
        { name: 'ours', value: median(ours), unit: 'requests/s' },
        { name: 'peer', value: median(peer), unit: 'requests/s' },
        { name: 'ratio', value: ratio, unit: '×' },
        ...contestants.flatMap(({ name, rounds }) => [
          { name, value: median(rounds.map(({ perSecond }) => perSecond)), unit: 'requests/s' },
          { name: `${name}: p99`, value: median(rounds.map(({ p99Ms }) => p99Ms)), unit: 'ms' },
        ]),
      ],
      isReached: ratio >= RATIO_MIN,
    };
  },
};

function missingThings(): string | undefined {
  const programs = ['wrk', 'nginx'].filter((program) => !isInstalled(program));
  const missing = programs.map((program) => `${program} isn't installed (Debian: apt-get install ${program})`);
  if (!existsSync(join(ROOT, 'loadtest/node_modules/http-proxy-3'))) {
    missing.push("http-proxy-3 isn't installed (npm ci --prefix loadtest)");
  }
  return missing.length > 0 ? missing.join('; ') : undefined;
}
