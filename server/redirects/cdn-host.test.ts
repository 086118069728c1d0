import { expect, it } from 'vitest';
import { isCdnHost } from './cdn-host.ts';

it.each([
  'cdn.example',
  'CDN-2.Example:8080',
  'cdn',
  'localhost:1',
  '10.0.0.1',
  '10.0.0.1:65535',
  '[::1]',
  '[2001:db8::1]:8080',
  'xn--bcher-kva.example',
  `${'a'.repeat(63)}.example`,
])('takes %s', (text) => {
  expect(isCdnHost(text)).toBe(true);
});

it.each([
  '',
  'cdn.example:',
  'cdn.example:0',
  'cdn.example:65536',
  'cdn.example:80a',
  'cdn.example/path',
  'cdn.example?a',
  'cdn.example#a',
  'http://cdn.example',
  'user@cdn.example',
  'user:secret@cdn.example',
  'cdn.example\r\nSet-Cookie: a',
  'cdn.example\n',
  ' cdn.example',
  'cdn example',
  'cdn.example.',
  '.cdn.example',
  'cdn..example',
  '-cdn.example',
  'cdn-.example',
  'cdn_1.example',
  'bücher.example',
  'cdn%2eexample',
  '::1',
  '[::1',
  '[::g]',
  '1',
  '1.2.3',
  '256.0.0.1',
  '0x7f.0.0.1',
  '010.0.0.1',
  `${'a'.repeat(64)}.example`,
  `${'a.'.repeat(127)}aa`,
])('refuses %j', (text) => {
  expect(isCdnHost(text)).toBe(false);
});
