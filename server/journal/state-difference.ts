import type { Replica, SnapshotRecord } from '../coordinator/replica.ts';
import { packValue } from './msgpack.ts';

/**
 * Where the streams of records that two states are written as differ first: its number, from 1, and the kind of record,
 * never what stands in it. undefined: they are the same, byte by byte.
 */
export function firstDifference(one: Replica, other: Replica): { number: number; kind: string } | undefined {
  const left = one.encode();
  const right = other.encode();
  for (let number = 1; ; number += 1) {
    const [ours, theirs] = [left.next(), right.next()];
    if (ours.done && theirs.done) return undefined;
    if (ours.done || theirs.done || !Buffer.from(packValue(ours.value)).equals(packValue(theirs.value))) {
      return { number, kind: kindOf((ours.done ? theirs.value : ours.value) as SnapshotRecord) };
    }
  }
}

function kindOf([domain, record]: SnapshotRecord): string {
  return Array.isArray(record) && typeof record[0] === 'string' ? `${domain}/${record[0]}` : domain;
}
