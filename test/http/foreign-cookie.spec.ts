import { jest } from '@jest/globals';
import { Controller, Get, Logger } from '@nestjs/common';
import { MemorySessionStore, Session } from 'nest-session';
import { EncryptedCookieSessions } from 'nest-session/cookie';
import { Browser } from '../support/browser.js';
import { platforms, startApp } from '../support/http-app.js';
import type { AnySession } from '../support/stage.js';

@Controller()
class Pages {
  @Get()
  count(@Session() session: AnySession) {
    session.set('count', 1);
    return {};
  }
}

const stores = [
  ['a store', MemorySessionStore],
  ['the encrypted cookie', EncryptedCookieSessions],
] as const;

describe.each(platforms)('cookies of a process with another secret · %s', (platform) => {
  it.each(stores)('are warned of once, with what to check and nothing of theirs: %s', async (_, store) => {
    const lines: string[] = [];
    const spy = jest
      .spyOn(Logger.prototype, 'warn')
      .mockImplementation((line) => void lines.push(String(line)));
    const secrets = ['one of two, 4e1f0c7a9b2d8365', 'two of two, 7d3b9a5c1e8f2046'].map((each) =>
      each.padEnd(40),
    );
    const apps = await Promise.all(
      secrets.map((secret) => startApp({ platform, store, controllers: [Pages], session: { secret } })),
    );
    try {
      const visitor = new Browser(apps[0].url);
      await visitor.get('/');
      await visitor.get('/'); // its own cookie is no matter
      expect(lines).toEqual([]);
      const value = String(await visitor.cookie('sessionid'));
      const stranger = new Browser(apps[1].url);
      for (let i = 0; i < 3; i++) await stranger.get('/', { cookie: `sessionid=${value}` });
      expect(lines).toHaveLength(1);
      expect(lines[0]).toMatch(/sessionid came that this application did not sign.*same secret/);
      for (const part of value.split('.')) expect(lines[0]).not.toContain(part);
    } finally {
      spy.mockRestore();
      await Promise.all(apps.map((each) => each.close()));
    }
  });
});
