import { Browser } from '../support/browser.js';
import { platforms, startApp, type TestApp } from '../support/http-app.js';
import { AppUsers, newPerson, People } from '../support/people.js';
import { AAL1, AAL2, AAL3 } from './assurance-levels.js';

const HOUR = 3600;
const levels = [
  { level: 'AAL1', options: AAL1, idle: 14 * 24 * HOUR, absolute: 30 * 24 * HOUR },
  { level: 'AAL2', options: AAL2, idle: HOUR, absolute: 24 * HOUR },
  { level: 'AAL3', options: AAL3, idle: HOUR / 4, absolute: 12 * HOUR },
];
const https = { 'x-forwarded-proto': 'https' };

describe.each(platforms)('the time limits of NIST SP 800-63B-4 on %s', (platform) => {
  describe.each(levels)('$level', ({ options, idle, absolute }) => {
    let app: TestApp;
    beforeAll(async () => {
      const session = { ...options, auth: { users: AppUsers } };
      app = await startApp({ platform, trustsProxy: true, controllers: [People], session });
    });
    afterAll(() => app.close());

    const send = (method: string, path: string, cookie = '') =>
      new Browser(app.url).request(method, path, { headers: { ...https, cookie } });
    const cookieFrom = async (method: string, path: string, cookie?: string) => {
      const { setCookies } = await send(method, path, cookie);
      expect(setCookies).toEqual([expect.stringMatching(/^__Host-sessionid=.*; Secure; /)]);
      return setCookies[0].split(';')[0];
    };
    const login = () => cookieFrom('POST', `/login?user=${newPerson().id}`);
    const codeWith = async (cookie: string) => {
      const { status, json } = await send('GET', '/me', cookie);
      return status === 200 ? 'in' : json().code;
    };
    /** Uses the session in steps that are half as long as it may rest. */
    const use = async (cookie: string, seconds: number) => {
      for (let gone = 0; gone < seconds; gone += idle / 2) {
        app.clock.advance(idle / 2);
        if (gone + idle / 2 < seconds) expect(await codeWith(cookie)).toBe('in');
      }
    };

    it('ends a login without use, and one in use at the overall limit', async () => {
      const unused = await login();
      app.clock.advance(idle);
      expect(await codeWith(unused)).toBe('SESSION_EXPIRED');

      const used = await login();
      await use(used, absolute);
      expect(await codeWith(used)).toBe('SESSION_EXPIRED');
    });

    it('begins both anew when the user proves it again', async () => {
      const first = await login();
      await use(first, absolute - idle / 2);
      const second = await cookieFrom('POST', '/confirm', first);
      await use(second, absolute - idle / 2);
      expect(await codeWith(second)).toBe('in');
    });
  });
});
