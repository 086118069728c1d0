/** What is wrong with a frame, in the words of the `error` that answers it. */
import type * as v from 'valibot';
import type { ErrorCode } from './codes.ts';
import { ERROR_TEXT_MAX } from './limits.ts';

export interface FrameFault {
  readonly code: ErrorCode;
  readonly message: string;
  /** Where in the frame, e.g. `where.country.in[0]`. */
  readonly path?: string;
  /** The frame's own id, where it has a usable one. */
  readonly id?: number;
}

/** A fault of one field; `path` is empty where it is of the frame as a whole. */
export function fieldFault(path: string, message: string, id: number | undefined): FrameFault {
  return {
    code: 'bad_field',
    message: cut(path === '' ? message : `${path}: ${message}`),
    ...(path === '' ? {} : { path: cut(path) }),
    ...(id === undefined ? {} : { id }),
  };
}

export function issueFault(issue: v.BaseIssue<unknown>, id: number | undefined): FrameFault {
  const { path, message } = describeIssue(issue);
  return fieldFault(path, message, id);
}

/** Where it is, empty for the value as a whole, and what is wrong there. */
export function describeIssue(issue: v.BaseIssue<unknown>): { readonly path: string; readonly message: string } {
  const closest = closestIssue(issue);
  return { path: pathOf(closest), message: withoutCredentials(messageOf(closest)) };
}

/** `where.and[1].rpw.lt`: map keys joined by dots, places in a list in brackets. */
export function pathOf(issue: v.BaseIssue<unknown>): string {
  let path = '';
  for (const item of issue.path ?? []) {
    const key = String(item.key);
    path += typeof item.key === 'number' ? `[${key}]` : path === '' ? key : `.${key}`;
  }
  return path;
}

function messageOf(issue: v.BaseIssue<unknown>): string {
  // An issue with a key of a map is of two kinds: it ought to be there, or ought not.
  if (issue.path?.at(-1)?.origin === 'key') {
    if (issue.type === 'strict_object') return issue.expected === 'never' ? 'unknown field' : 'missing';
    if (issue.type === 'object' || issue.type === 'loose_object') return 'missing';
  }
  return issue.message;
}

/** An issue of a union says only that no form fits; that of the form which got furthest says what is wrong with it. */
function closestIssue(issue: v.BaseIssue<unknown>): v.BaseIssue<unknown> {
  const [first, ...others] = (issue.issues ?? []).map(closestIssue);
  if (!first) return issue;
  const depth = (form: v.BaseIssue<unknown>) => form.path?.length ?? 0;
  const closest = others.reduce((best, form) => (depth(form) > depth(best) ? form : best), first);
  const path = [...(issue.path ?? []), ...(closest.path ?? [])] as [v.IssuePathItem, ...v.IssuePathItem[]];
  return { ...closest, path };
}

/**
 * A message repeats what the peer wrote, and an error may be seen by others than who has the credentials: those of a URL
 * and API keys are hidden.
 */
function withoutCredentials(text: string): string {
  return text.replace(/\/\/[^\s"@/]*@/g, '//***@').replace(/\blh_[0-9A-Za-z]+_[\w-]+/g, 'lh_***');
}

/** Both texts repeat what the peer wrote, so that a fault of 64 KiB would be answered with three times as much. */
function cut(text: string): string {
  return text.length <= ERROR_TEXT_MAX ? text : `${text.slice(0, ERROR_TEXT_MAX - 1)}…`;
}
