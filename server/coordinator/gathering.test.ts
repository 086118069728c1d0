import { beforeEach, describe, expect, it } from 'vitest';
import { Gathering } from './gathering.ts';

describe('Gathering', () => {
  let gathering: Gathering;
  let nowMs: number;

  beforeEach(() => {
    gathering = new Gathering();
    nowMs = 1_000;
  });

  /** A commit through which the loop has worked for `busyMs` of `tookMs`; answers leave with it. */
  function commit(tookMs: number, busyMs: number, answers: number): boolean {
    gathering.commitBegins(nowMs);
    gathering.workBegan(nowMs);
    gathering.workEnded(nowMs + busyMs);
    nowMs += tookMs;
    const isGathering = gathering.commitEnded(nowMs);
    gathering.answersLeft(answers);
    return isGathering;
  }

  function come(requests: number): void {
    for (let count = 0; count < requests; count += 1) gathering.requestCame();
  }

  /** The next turn, `afterMs` later. */
  function looksAgain(afterMs = 0.01): boolean {
    nowMs += afterMs;
    return gathering.isWorthALook(nowMs);
  }

  it('does not gather beside a disk that is faster than the work', () => {
    expect(commit(0.1, 0.1, 25)).toBe(false);
    expect(looksAgain()).toBe(false);
  });

  it('waits for what the answers bring where the loop stood idle', () => {
    expect(commit(1, 0.2, 50)).toBe(true);
    expect(looksAgain()).toBe(true);
    come(30);
    expect(looksAgain()).toBe(true);
    come(19);
    expect(looksAgain()).toBe(true);
    come(1);
    expect(looksAgain()).toBe(false);
  });

  it('waits no longer where looks bring nothing new', () => {
    commit(1, 0.2, 50);
    come(10);
    expect(looksAgain()).toBe(true);
    expect(looksAgain(0.2)).toBe(true);
    expect(looksAgain(0.1)).toBe(false);
  });

  it('counts what the loop has to do as work before it is done', () => {
    gathering.commitBegins(nowMs);
    gathering.workBegan(nowMs + 0.1);
    expect(gathering.commitEnded(nowMs + 1)).toBe(false);
    gathering.commitBegins(nowMs + 1);
    gathering.workEnded(nowMs + 1.1);
    expect(gathering.commitEnded(nowMs + 2)).toBe(true);
  });

  it('waits no longer than the commit took', () => {
    commit(1, 0.2, 5_000);
    expect(looksAgain()).toBe(true);
    for (let look = 0; look < 9; look += 1) {
      come(1);
      expect(looksAgain(0.1)).toBe(true);
    }
    come(1);
    expect(looksAgain(0.1)).toBe(false);
  });

  it('is never asked to wait by a single client that has asked again', () => {
    commit(1, 0, 1);
    come(1);
    expect(looksAgain()).toBe(false);
  });

  it('does not take it for gathering that nobody asks for anything', () => {
    commit(1, 0, 50);
    nowMs += 3_600_000;
    let commits = 0;
    while (!commit(1, 0, 50)) commits += 1;
    expect(commits).toBeLessThan(10);
  });

  it('gives up gathering where that took longer than the commit, and comes back to it', () => {
    commit(1, 0, 50);
    for (let look = 0; look < 3; look += 1) {
      come(10);
      looksAgain(0.3);
    }
    nowMs += 0.5;
    expect(commit(1, 0, 50)).toBe(false);
    let commits = 0;
    while (!commit(1, 0, 50)) commits += 1;
    expect(commits).toBeGreaterThan(0);
    expect(commits).toBeLessThan(10);
  });
});
