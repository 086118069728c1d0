import { describe, expect, it } from 'vitest';
import { Distribution, readVideo, type Video } from './redirect-target.ts';

const queryOf = (url: string) => `video=${encodeURIComponent(url)}`;

describe('a video', () => {
  it.each([
    ['http://s1.origin.example/path', 'http://s1.origin.example/path', '/s1/path'],
    ['https://s1.origin.example/path', 'https://s1.origin.example/path', '/s1/path'],
    ['http://s1.origin', 'http://s1.origin/', '/s1/'],
    ['HTTP://S1.Origin.Example/Path', 'http://s1.origin.example/Path', '/s1/Path'],
    ['http://s1.origin.example/a/b.m3u8?x=1&y=2', 'http://s1.origin.example/a/b.m3u8?x=1&y=2', '/s1/a/b.m3u8?x=1&y=2'],
    ['http://s1.origin.example?x=1', 'http://s1.origin.example/?x=1', '/s1/?x=1'],
    ['http://s1.origin.example/a#b', 'http://s1.origin.example/a#b', '/s1/a#b'],
    // The CDN knows where the origins are.
    ['http://s1.origin.example:8080/a', 'http://s1.origin.example:8080/a', '/s1/a'],
    ['http://s1.origin.example:80/a', 'http://s1.origin.example/a', '/s1/a'],
    ['http://s1.origin.example./a', 'http://s1.origin.example./a', '/s1/a'],
    ['http://s_1.origin.example/a', 'http://s_1.origin.example/a', '/s_1/a'],
    ['http://bücher.example/ä b', 'http://xn--bcher-kva.example/%C3%A4%20b', '/xn--bcher-kva/%C3%A4%20b'],
    ['http://s1.origin.example/a%2Fb%0d', 'http://s1.origin.example/a%2Fb%0d', '/s1/a%2Fb%0d'],
    ['http://s1.origin.example/../../a/./b/..', 'http://s1.origin.example/a/', '/s1/a/'],
    ['http://s1.origin.example/a@b:c', 'http://s1.origin.example/a@b:c', '/s1/a@b:c'],
    ['http://s1.origin.example//evil.example/a', 'http://s1.origin.example//evil.example/a', '/s1//evil.example/a'],
    [
      'http://s1.origin.example/a\r\nSet-Cookie: b',
      'http://s1.origin.example/a%0D%0ASet-Cookie:%20b',
      '/s1/a%0D%0ASet-Cookie:%20b',
    ],
    [
      'http://s1.origin.example/\t\0\x1b\u2028',
      'http://s1.origin.example/%09%00%1B%E2%80%A8',
      '/s1/%09%00%1B%E2%80%A8',
    ],
    ['http://s1.origin.example/a+b', 'http://s1.origin.example/a+b', '/s1/a+b'],
  ])('may be %j', (given, url, cdnPath) => {
    expect(readVideo(queryOf(given))).toEqual({ url, cdnPath });
  });

  it.each([
    ['video=http://s1.origin.example/a?x=1', 'http://s1.origin.example/a?x=1'],
    ['video=http://s1.origin.example/a+b', 'http://s1.origin.example/a+b'],
    ['utm=1&video=http://s1.origin.example/a&x=2', 'http://s1.origin.example/a'],
    ['video2=a&video=http://s1.origin.example/a&&=', 'http://s1.origin.example/a'],
  ])('is read from ?%s', (query, url) => {
    expect(readVideo(query)).toMatchObject({ url });
  });

  it.each([
    ['', 'missing'],
    ['v=1', 'missing'],
    ['video', 'expected an http or https URL'],
    ['video=', 'expected an http or https URL'],
    ['video=http://a.example/&video=http://b.example/', 'given twice'],
    ['video&video', 'given twice'],
    ['video=http://a.example/%', 'not percent-encoded UTF-8'],
    ['video=http://a.example/%ff', 'not percent-encoded UTF-8'],
  ])('is not in ?%s', (query, fault) => {
    expect(readVideo(query)).toBe(fault);
  });

  it.each([
    'ftp://s1.origin.example/a',
    'javascript:alert(1)',
    '//s1.origin.example/a',
    's1.origin.example/a',
    'http:s1.origin.example/a',
    'http:/s1.origin.example/a',
    'http:///s1.origin.example/a',
    'http:\\\\s1.origin.example/a',
    ' http://s1.origin.example/a',
    'http://',
    'http://?a',
    'http://s1.origin.example:99999/',
    'http://s1.origin.example:a/',
    'http://s1 .origin.example/',
    'http://s1\r\n.origin.example/',
    'ht\ntp://s1.origin.example/',
    'http://s1<.origin.example/',
  ])('is no URL as %j', (url) => {
    expect(readVideo(queryOf(url))).toBe('expected an http or https URL');
  });

  it.each(['http://user@s1.origin.example/', 'http://user:secret@s1.origin.example/', 'http://@s1.origin.example/'])(
    'has no user information: %s',
    (url) => {
      expect(readVideo(queryOf(url))).toBe('expected a URL without user information');
    },
  );

  it.each([
    'http://localhost/',
    'http://localhost./',
    'http://s1/',
    'http://10.0.0.1/',
    'http://10.0.0.1./',
    'http://10.1/',
    'http://0x7f.0.0.1/',
    'http://2130706433/',
    'http://[::1]/',
    'http://[::ffff:10.0.0.1]:80/',
    'http://s1..example/',
    'http://.example/',
    "http://s1'(.example/",
  ])('has a host of two labels or more, unlike %s', (url) => {
    expect(readVideo(queryOf(url))).toBe('expected a host name of two labels or more');
  });
});

describe('a distribution', () => {
  it.each([1, 2, 3, 7, 1_000])('sends floor(N / %d) of any N requests to the origin', (distributionRate) => {
    const distribution = new Distribution({ cdnHost: 'cdn.example', distributionRate });
    let origins = 0;
    for (let count = 1; count <= 3_000; count += 1) {
      const { next } = distribution;
      const taken = distribution.take();
      expect(taken).toBe(next);
      if (taken === 'origin') origins += 1;
      expect(origins).toBe(Math.floor(count / distributionRate));
    }
  });

  it.each(['cdn.example', 'cdn.example:8080', '[2001:db8::1]:81'])('leads to %s by http', (cdnHost) => {
    const distribution = new Distribution({ cdnHost, distributionRate: 10 });
    const video = readVideo(queryOf('https://s1.origin.example/a?b')) as Video;
    expect(distribution.locationOf(video, 'cdn')).toBe(`http://${cdnHost}/s1/a?b`);
    expect(distribution.locationOf(video, 'origin')).toBe('https://s1.origin.example/a?b');
  });
});
