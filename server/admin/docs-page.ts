/**
 * The page at /docs: reads /docs.json and shows it, with a form for each operation. It needs nothing from elsewhere, and
 * its policy lets it load nothing else: style and script stand in the page, named by their digests.
 */
import { createHash } from 'node:crypto';

const STYLE = `
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { margin-top: 2.5rem; text-transform: capitalize; }
details { border: 1px solid var(--line); border-radius: 6px; margin: .4rem 0; }
summary { cursor: pointer; padding: .45rem .7rem; }
summary code { font-weight: 600; } summary small { opacity: .75; margin-left: .6rem; }
.in { padding: 0 .9rem .9rem; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; vertical-align: top; padding: .2rem .6rem .2rem 0; }
pre { background: color-mix(in srgb, currentColor 7%, transparent); padding: .6rem; overflow: auto; max-height: 24rem; }
input, textarea { font: inherit; font-family: ui-monospace, monospace; width: 100%; box-sizing: border-box; }
label { display: block; margin: .3rem 0; } button { font: inherit; padding: .2rem .9rem; }
`;

const SCRIPT = `
'use strict';
const make = (tag, fields = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), fields);
  node.append(...children);
  return node;
};
const key = document.getElementById('key');

fetch('/docs.json').then((answer) => answer.json()).then(show, (error) => {
  document.getElementById('operations').textContent = String(error);
});

function show(document_) {
  document.getElementById('about').textContent = document_.info.description;
  document.getElementById('version').textContent = document_.info.version;
  const resolve = (schema) => {
    const name = schema && schema.$ref && schema.$ref.split('/').pop();
    return name ? document_.components.schemas[name] : schema;
  };
  for (const { name } of document_.tags) {
    const part = make('section', {}, make('h2', { textContent: name }));
    for (const [path, methods] of Object.entries(document_.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        if (operation.tags.includes(name)) part.append(one(path, method, operation, resolve));
      }
    }
    document.getElementById('operations').append(part);
  }
}

function one(path, method, operation, resolve) {
  const inside = make('div', { className: 'in' });
  if (operation.description) inside.append(make('p', { textContent: operation.description }));
  inside.append(make('p', { textContent: 'For: ' + operation['x-role'] }));
  const fields = [];
  for (const each of operation.parameters || []) {
    const input = make('input', { placeholder: each.schema.type || '', required: each.required });
    fields.push({ each, input });
    const text = each.name + (each.required ? ' *' : '') + ' (' + each.in + ') ' + (each.description || '');
    inside.append(make('label', {}, text, input));
  }
  let body;
  const content = Object.entries((operation.requestBody || {}).content || {});
  if (content.length > 0) {
    const [[type, { schema }]] = content;
    body = { type, area: make('textarea', { rows: 5, value: '{}' }) };
    const types = content.map(([each]) => each).join(', ');
    inside.append(make('label', {}, types, body.area));
    inside.append(details('Schema', resolve(schema)));
  }
  const output = make('pre', { hidden: true });
  const send = make('button', { textContent: 'Send' });
  send.addEventListener('click', () => ask(path, method, fields, body, output));
  inside.append(send, output);
  const rows = Object.entries(operation.responses).map(([status, { description, content: made }]) => {
    const [type, media] = Object.entries(made || {})[0] || [];
    const shown = media && type !== 'application/problem+json' ? details('Schema', resolve(media.schema)) : '';
    return make('tr', {}, make('td', { textContent: status }), make('td', {}, description, shown));
  });
  inside.append(make('table', {}, make('caption', { textContent: 'Answers' }), ...rows));
  const title = make('summary', {}, make('code', { textContent: method.toUpperCase() + ' ' + path }));
  title.append(make('small', { textContent: operation.summary }));
  return make('details', { id: operation.operationId }, title, inside);
}

function details(title, value) {
  const text = make('pre', { textContent: JSON.stringify(value, null, 2) });
  return make('details', {}, make('summary', { textContent: title }), text);
}

async function ask(path, method, fields, body, output) {
  const headers = {};
  const query = new URLSearchParams();
  let url = path;
  for (const { each, input } of fields) {
    if (each.in === 'path') url = url.replace('{' + each.name + '}', encodeURIComponent(input.value));
    else if (input.value === '') continue;
    else if (each.in === 'query') query.set(each.name, input.value);
    else headers[each.name] = input.value;
  }
  if (key.value !== '') headers.Authorization = 'Bearer ' + key.value;
  if (body) headers['Content-Type'] = body.type;
  if (query.size > 0) url += '?' + query;
  output.hidden = false;
  output.textContent = '…';
  try {
    const answer = await fetch(url, { method: method.toUpperCase(), headers, ...(body ? { body: body.area.value } : {}) });
    const type = answer.headers.get('Content-Type') || '';
    output.textContent = answer.status + ' ' + answer.statusText + '\\n';
    // A stream never ends: only what comes first is shown.
    const text = type.includes('event-stream') ? '(a stream of events)' : await answer.text();
    output.textContent += type.includes('json') ? JSON.stringify(JSON.parse(text), null, 2) : text;
  } catch (error) {
    output.textContent = String(error);
  }
}
`;

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Leasehold: HTTP API</title>
<style>${STYLE}</style>
<h1>Leasehold <span id="version"></span></h1>
<p id="about"></p>
<p>The whole of it as <a href="/docs.json">OpenAPI</a>.</p>
<label>Key, where one is needed (kept by this page only) <input id="key" type="password" autocomplete="off"></label>
<div id="operations"></div>
<script>${SCRIPT}</script>
</html>
`;

const POLICY = [
  "default-src 'none'",
  `script-src '${digest(SCRIPT)}'`,
  `style-src '${digest(STYLE)}'`,
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export function docsPage(): Response {
  return new Response(PAGE, {
    headers: {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Security-Policy': POLICY,
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
    },
  });
}

function digest(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
