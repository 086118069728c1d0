import { describe, expect, it } from 'vitest';
import { createLogger, flatLogger } from './logger.ts';

function logged(level: string) {
  const lines: string[] = [];
  const logger = createLogger({ level, destination: { write: (line) => void lines.push(line) } });
  return { logger, lines };
}

describe('the logger', () => {
  it('writes level and time for people and machines alike', () => {
    const { logger, lines } = logged('info');
    logger.info({ port: 7_400 }, 'listening');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      port: 7_400,
      msg: 'listening',
    });
  });

  it('leaves out what is below its level', () => {
    const { logger, lines } = logged('warn');
    logger.info('not this');
    logger.warn('this');
    expect(lines).toHaveLength(1);
    expect(logged('silent').lines).toEqual([]);
  });

  it('hides credentials in the fields of flat lines', () => {
    const { logger, lines } = logged('info');
    flatLogger(logger).info({
      secret: 'hunter2',
      authorization: 'hunter2',
      'proxy-authorization': 'hunter2',
      status: 200,
    });
    expect(lines[0]).not.toContain('hunter2');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ secret: '***', status: 200 });
  });

  it('hides credentials, also inside other objects', () => {
    const { logger, lines } = logged('info');
    logger.info({
      admin_key: 'hunter2',
      apiKey: 'hunter2',
      hello: { api_key: 'hunter2', resume: { session: 's1', secret: 'hunter2' } },
      req: { headers: { authorization: 'Bearer hunter2', 'proxy-authorization': 'hunter2', cookie: 'hunter2' } },
      config: { adminKey: 'hunter2', port: 7_400 },
    });
    expect(lines[0]).not.toContain('hunter2');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      hello: { api_key: '***', resume: { session: 's1', secret: '***' } },
      req: { headers: { authorization: '***', 'proxy-authorization': '***' } },
      config: { port: 7_400 },
    });
  });

  it('leaves the logged object as it was', () => {
    const { logger } = logged('info');
    const hello = { api_key: 'hunter2' };
    logger.info({ hello });
    expect(hello.api_key).toBe('hunter2');
  });
});
