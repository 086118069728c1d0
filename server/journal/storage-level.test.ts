import { describe, expect, it } from 'vitest';
import { type Room, storageLevel } from './storage-level.ts';

const SEGMENT = 4_000;
const room = (fields: Partial<Room>): Room => ({
  freeBytes: 10_000,
  segmentBytes: SEGMENT,
  journalBytes: 3_000,
  endsBytes: 1_000,
  snapshotMissingBytes: 0,
  isShort: false,
  ...fields,
});

describe('room for events', () => {
  it('is ample while the disk gives one more segment and the ends fit', () => {
    expect(storageLevel(room({}))).toBe('ample');
    expect(storageLevel(room({ freeBytes: SEGMENT }))).toBe('ample');
    expect(storageLevel(room({ endsBytes: 13_000 }))).toBe('ample');
  });

  it('is low where no further segment would fit, be the present ones as empty as they may', () => {
    expect(storageLevel(room({ freeBytes: SEGMENT - 1, journalBytes: 1_000_000 }))).toBe('low');
    expect(storageLevel(room({ isShort: true }))).toBe('low');
  });

  it('is low where the next snapshot would take the room of the segment', () => {
    expect(storageLevel(room({ freeBytes: SEGMENT + 99, snapshotMissingBytes: 100 }))).toBe('low');
    expect(storageLevel(room({ freeBytes: SEGMENT + 100, snapshotMissingBytes: 100 }))).toBe('ample');
  });

  it('is low where the ends of all that lives would not fit', () => {
    expect(storageLevel(room({ endsBytes: 13_001 }))).toBe('low');
  });

  it('is the least below half of what the ends may take, which is where each end alone would just fit', () => {
    expect(storageLevel(room({ freeBytes: 0, journalBytes: 500 }))).toBe('low');
    expect(storageLevel(room({ freeBytes: 0, journalBytes: 499 }))).toBe('least');
    // What is free but no whole segment holds no event.
    expect(storageLevel(room({ freeBytes: SEGMENT - 1, journalBytes: 499 }))).toBe('least');
    expect(storageLevel(room({ freeBytes: SEGMENT, journalBytes: 499 }))).toBe('ample');
  });
});
