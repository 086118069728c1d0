import { contest, medianOf } from '../contest.ts';
import { NOBODY } from '../contestants/nobody.ts';
import type { Measure, Row } from '../row.ts';

const LOADS = [
  { sessions: 50, inFlight: 1 },
  { sessions: 500, inFlight: 1 },
  { sessions: 50, inFlight: 16 },
];

/** What is measured elsewhere is the servers' as long as it stays below this. */
export const generator: Row = {
  name: 'generator',
  title: 'the load generator itself, to a null peer',
  figure: undefined,
  async run(context) {
    const measures: Measure[] = [];
    for (const load of LOADS) {
      const name = `${load.sessions} × ${load.inFlight}`;
      const say = (line: string) => context.say(`${name}, ${line}`);
      const { scores, missing } = await contest([NOBODY], load, { ...context, say });
      const score = scores[0];
      if (!score) return { measures: [], isReached: undefined, missing: missing.join('; ') };
      measures.push(
        { name, value: medianOf(score, ({ perSecond }) => perSecond), unit: 'operations/s' },
        { name: `${name}: its CPU`, value: medianOf(score, ({ generatorCpu }) => generatorCpu), unit: 'cores' },
        { name: `${name}: the peer's CPU`, value: medianOf(score, ({ serverCpu }) => serverCpu), unit: 'cores' },
      );
    }
    return { measures, isReached: undefined };
  },
};
