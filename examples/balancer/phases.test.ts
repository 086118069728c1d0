import { expect, it } from 'vitest';
import { countPhases, isEven, type Phase, table } from './phases.ts';

const TARGETS = ['a', 'b'];
const PHASES: Phase[] = [
  { name: 'before', fromMs: 0, toMs: 100, targets: ['a', 'b'] },
  { name: 'during', fromMs: 100, toMs: 200, targets: ['a'] },
  { name: 'after', fromMs: 250, toMs: 400, targets: ['a', 'b'] },
];
const reply = (atMs: number, target: string | undefined, ok = true) => ({ atMs, target, ok });

it('counts what each target answered in each phase, and what failed', () => {
  const replies = [
    ...[0, 20, 40, 60].map((atMs, index) => reply(atMs, TARGETS[index % 2])),
    reply(100, 'a'),
    reply(120, undefined, false),
    // Between two phases.
    reply(220, 'a'),
    ...[250, 270, 290, 310, 330, 350].map((atMs) => reply(atMs, 'b')),
  ];
  const counts = countPhases(replies, PHASES, TARGETS);
  expect(table(counts, TARGETS)).toEqual([
    '            target 1  target 2  requests    failed    spread',
    'before             2         2         4         0         0',
    'during             1         0         2         1         0',
    'after              0         6         6         0         6',
  ]);
  expect(counts.map(isEven)).toEqual([true, true, false]);
});
