export type ParsedJson =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly message: string };

/**
 * JSON text as a value, or where and why it is none: `line 3, column 5: expected a value`. The message quotes nothing
 * of the text, since that may hold credentials; the engine's own message would. A byte order mark is passed over.
 */
export function parseJson(text: string): ParsedJson {
  const bare = text.startsWith('\uFEFF') ? text.slice(1) : text;
  try {
    return { ok: true, value: JSON.parse(bare) };
  } catch {
    return { ok: false, message: describeFault(faultOf(bare), bare, { line: 1, column: 1 }) };
  }
}

/** Of a text, both from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** What is wrong with a part of an array that begins at `place`: behind its bracket (`isFirst`) or a comma. */
export function describeItemFault(text: string, isFirst: boolean, place: Place): string {
  return describeFault(faultOf(text, [']'], isFirst ? 'firstValue' : 'value'), text, place);
}

function describeFault(fault: Fault | undefined, text: string, from: Place): string {
  if (!fault) return 'not valid JSON';
  const { line, column } = placeBehind(text.slice(0, fault.at), from);
  return `line ${line}, column ${column}: ${fault.message}`;
}

/** Where `text` ends that begins at `from`. */
export function placeBehind(text: string, { line, column }: Place): Place {
  const lines = text.split('\n');
  return { line: line + lines.length - 1, column: lines.at(-1)!.length + (lines.length === 1 ? column : 1) };
}

interface Fault {
  readonly at: number;
  readonly message: string;
}

/** What may come next. `first…`: directly behind the bracket, where the closing one may come as well. */
type Expected = 'value' | 'firstValue' | 'key' | 'firstKey' | 'colon' | 'separator';

const SPACE = /[ \t\n\r]*/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/**
 * The first place at which the text stops being JSON; it begins within what `closers` close, where `expected` comes next.
 * Not recursive: the text decides how deep it goes.
 */
function faultOf(text: string, closers: ('}' | ']')[] = [], expected: Expected = 'value'): Fault | undefined {
  let at = 0;
  for (;;) {
    at = endOf(SPACE, text, at) ?? at;
    const char = text[at];
    const closer = closers.at(-1);
    if (char === undefined) {
      if (expected === 'separator' && closer === undefined) return undefined;
      return { at, message: 'the text ends in the middle of a value' };
    }
    const mayClose = expected === 'separator' || expected === 'firstValue' || expected === 'firstKey';
    if (mayClose && char === closer) {
      closers.pop();
      expected = 'separator';
      at += 1;
      continue;
    }
    switch (expected) {
      case 'separator':
        if (closer === undefined) return { at, message: 'nothing may follow the value' };
        if (char !== ',') return { at, message: `expected "," or "${closer}"` };
        expected = closer === '}' ? 'key' : 'value';
        at += 1;
        continue;
      case 'colon':
        if (char !== ':') return { at, message: 'expected ":"' };
        expected = 'value';
        at += 1;
        continue;
      default:
    }
    const isKey: boolean = expected === 'key' || expected === 'firstKey';
    if (char === '"') {
      const end = endOfString(text, at);
      if (typeof end !== 'number') return end;
      at = end;
      expected = isKey ? 'colon' : 'separator';
    } else if (isKey) {
      return { at, message: 'expected a key in double quotes' };
    } else if (char === '{' || char === '[') {
      closers.push(char === '{' ? '}' : ']');
      expected = char === '{' ? 'firstKey' : 'firstValue';
      at += 1;
    } else {
      const end = endOf(SCALAR, text, at);
      if (end === undefined) return { at, message: 'expected a value' };
      at = end;
      expected = 'separator';
    }
  }
}

/** Place behind the string that opens at `start`, or what is wrong in it. */
function endOfString(text: string, start: number): number | Fault {
  let at = start + 1;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code === 0x22) return at + 1;
    if (Number.isNaN(code)) return { at: start, message: 'this string has no closing quote' };
    if (code < 0x20) return { at, message: 'a control character in a string must be escaped' };
    if (code === 0x5c) {
      const end = endOf(ESCAPE, text, at);
      if (end === undefined) return { at, message: 'unknown escape in a string' };
      at = end;
    } else at += 1;
  }
}

/** Place behind the match of a sticky pattern at `at`. */
function endOf(pattern: RegExp, text: string, at: number): number | undefined {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : undefined;
}
