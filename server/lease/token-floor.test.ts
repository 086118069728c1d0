import { describe, expect, it } from 'vitest';
import { tokenFloorAt } from './token-floor.ts';

const SECOND = 2 ** 20;

describe('the floor of tokens', () => {
  it('is seconds since 2025 times 2²⁰, parts of a second included', () => {
    expect(tokenFloorAt(Date.UTC(2025, 0, 1))).toBe(0);
    expect(tokenFloorAt(Date.UTC(2025, 0, 1, 0, 0, 1))).toBe(SECOND);
    expect(tokenFloorAt(Date.UTC(2025, 0, 1, 0, 0, 1, 500))).toBe(1.5 * SECOND);
    expect(tokenFloorAt(Date.UTC(2026, 0, 1))).toBe(365 * 86_400 * SECOND);
  });

  it('rises by a thousand tokens with each millisecond: no run grants as many', () => {
    const nowMs = Date.UTC(2060, 5, 1);
    expect(tokenFloorAt(nowMs + 1)! - tokenFloorAt(nowMs)!).toBeGreaterThan(1_000);
  });

  it('is zero before 2025, and nothing where tokens would run out', () => {
    expect(tokenFloorAt(0)).toBe(0);
    expect(tokenFloorAt(Date.UTC(2297, 0, 1))).toBeLessThan(2 ** 53);
    expect(tokenFloorAt(Date.UTC(2300, 0, 1))).toBeUndefined();
  });
});
