import type { Domain } from '../coordinator/domain.ts';

/** A domain that does what a test tells it, and whose state is the list of what has happened. */
export interface BenchState {
  readonly happened: string[];
  dueMs: number | undefined;
  /** Slices of work that are due together. */
  dueSlices: number;
  markMs: number | undefined;
}

export type BenchCommand =
  /** So many events of so many characters each. */
  | { readonly type: 'Write'; readonly text: string; readonly events?: number; readonly notice?: string }
  | { readonly type: 'Refuse' }
  /** Happens so many times before it is answered, in one turn. */
  | { readonly type: 'Repeat'; readonly text: string; readonly times: number }
  /** Its events can't be written: a bug. */
  | { readonly type: 'Overflow' }
  /** Happens, and isn't written. */
  | { readonly type: 'Mention'; readonly text: string }
  /** One event a slice; the answer with the last, or with the first. */
  | { readonly type: 'Long'; readonly text: string; readonly slices: number; readonly answersFirst?: boolean }
  | { readonly type: 'GoOn'; readonly text: string; readonly slices: number }
  | { readonly type: 'Plan'; readonly dueMs: number; readonly slices: number }
  | { readonly type: 'Mark'; readonly everyMs: number | undefined }
  | { readonly type: 'Due' };

export type BenchEvent =
  | { readonly type: 'Happened' | 'Mentioned'; readonly text: string }
  | { readonly type: 'Planned'; readonly dueMs: number; readonly slices: number }
  | { readonly type: 'Marked'; readonly everyMs: number | undefined };

export type BenchAnswers = Record<BenchCommand['type'], string>;

export const benchDomain: Domain<BenchState, BenchCommand, BenchEvent, BenchAnswers, string> = {
  name: 'bench',
  create: () => ({ happened: [], dueMs: undefined, dueSlices: 0, markMs: undefined }),
  decide(state, command, { nowMs }) {
    switch (command.type) {
      case 'Write': {
        const { text, events = 1, notice } = command;
        const written = Array.from({ length: events }, () => ({ type: 'Happened', text }) as const);
        return { events: written, answer: text, ...(notice === undefined ? {} : { notices: [notice] }) };
      }
      case 'Refuse':
        return { events: [], answer: `refused after ${state.happened.length}` };
      case 'Repeat': {
        const { text, times } = command;
        const isEnough = state.happened.filter((it) => it === text).length === times;
        return isEnough ? { events: [], answer: text } : { events: [{ type: 'Happened', text }], again: command };
      }
      case 'Overflow':
        return { events: [{ type: 'Happened', text: 'x'.repeat(2_000_000) }], answer: 'overflow' };
      case 'Mention':
        return { events: [{ type: 'Mentioned', text: command.text }], answer: command.text };
      case 'Long': {
        const { text, slices, answersFirst } = command;
        const events = [{ type: 'Happened', text }] as const;
        if (slices === 1) return { events, answer: text };
        if (answersFirst === true) return { events, answer: text, next: { type: 'GoOn', text, slices: slices - 1 } };
        return { events, next: { ...command, slices: slices - 1 } };
      }
      case 'GoOn': {
        const { text, slices } = command;
        const events = [{ type: 'Happened', text }] as const;
        return slices === 1 ? { events, answer: text } : { events, next: { ...command, slices: slices - 1 } };
      }
      case 'Plan':
        return { events: [{ type: 'Planned', dueMs: command.dueMs, slices: command.slices }], answer: 'planned' };
      case 'Mark':
        return { events: [{ type: 'Marked', everyMs: command.everyMs }], answer: 'marked' };
      case 'Due': {
        const left = state.dueSlices - 1;
        const planned = { type: 'Planned', dueMs: left > 0 ? state.dueMs! : Infinity, slices: left } as const;
        return { events: [{ type: 'Happened', text: `due at ${nowMs}` }, planned], answer: 'done' };
      }
    }
  },
  apply(state, event) {
    switch (event.type) {
      case 'Happened':
      case 'Mentioned':
        state.happened.push(event.text);
        return;
      case 'Planned':
        state.dueMs = event.dueMs === Infinity ? undefined : event.dueMs;
        state.dueSlices = event.slices;
        return;
      case 'Marked':
        state.markMs = event.everyMs;
    }
  },
  isDurable: (event) => event.type === 'Happened',
  dueMs: (state) => state.dueMs,
  dueCommand: { type: 'Due' },
  clockMarkMs: (state) => state.markMs,
  liveCount: () => 0,
  encodeEvent: (event) => ['bench', 'Happened', 1, (event as { text: string }).text],
  decodeEvent: ([, , , text]) => ({ type: 'Happened', text: text as string }),
  *encode({ happened }) {
    yield* happened;
  },
  restore({ happened }, text) {
    happened.push(text as string);
  },
};
