/** The description of the HTTP API, made of the operations themselves. */
import * as v from 'valibot';
import { docsPage } from './docs-page.ts';
import { openApiDocument } from './openapi.ts';
import { type Operation, operation } from './operation.ts';

export interface DocsOptions {
  /** Everything else that is served. */
  readonly operations: readonly Operation[];
  readonly version: string;
}

const DESCRIPTION = `Leases of proxy addresses, and all that operators do about them.

Every answer is JSON unless said otherwise; every 4xx and 5xx is application/problem+json with \`code\` and \`message\`.
Where an operator's key exists, each request needs a key: \`Authorization: Bearer …\`.`;

export function docsRoutes({ operations, version }: DocsOptions): Operation[] {
  let text: string | undefined;
  const own: Operation[] = [
    operation({
      id: 'getDocument',
      tag: 'documentation',
      method: 'get',
      path: '/docs.json',
      role: 'anyone',
      summary: 'This document.',
      answers: { 200: { description: 'OpenAPI 3.1.', schema: v.looseObject({ openapi: v.string() }) } },
      handle() {
        text ??= JSON.stringify(
          openApiDocument([...operations, ...own], { title: 'Leasehold', version, description: DESCRIPTION }),
        );
        return new Response(text, { headers: { 'Content-Type': 'application/json' } });
      },
    }),
    operation({
      id: 'getDocumentPage',
      tag: 'documentation',
      method: 'get',
      path: '/docs',
      role: 'anyone',
      summary: 'This document as a page, with a form for each operation. It needs nothing from elsewhere.',
      answers: { 200: { description: 'The page.', contentType: 'text/html' } },
      handle: docsPage,
    }),
  ];
  return own;
}
