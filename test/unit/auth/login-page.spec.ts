import type { IncomingMessage } from 'node:http';
import { loginPageFor } from '../../../lib/auth/login-page.js';

const asking = (url: string, method = 'GET', accept = 'text/html') =>
  ({ method, url, headers: { accept } }) as unknown as IncomingMessage;

describe('loginPageFor', () => {
  it.each([
    ['/account', '/login?next=%2Faccount'],
    ['/account?tab=1&x=%26', '/login?next=%2Faccount%3Ftab%3D1%26x%3D%2526'],
    ['//elsewhere.example/account', '/login?next=%2F'],
    ['/\\elsewhere.example', '/login?next=%2F'],
    ['https://elsewhere.example/', '/login?next=%2F'],
  ])('asks to come back to %s, if it is a path of this site', (url, location) => {
    expect(loginPageFor(asking(url), '/login', undefined)).toBe(location);
  });

  it.each(['/login', '/login/', '/LOGIN?next=%2Fx', '/login#form'])(
    'sends nobody from %s to itself',
    (url) => {
      expect(loginPageFor(asking(url), '/login?lang=de', 'expired')).toBeUndefined();
    },
  );

  it('takes what Express saw before a router cut it', () => {
    const request = Object.assign(asking('/page'), { originalUrl: '/admin/page' });
    expect(loginPageFor(request, '/login', 'confirm')).toBe('/login?next=%2Fadmin%2Fpage&reason=confirm');
  });

  it.each([
    asking('/a', 'POST'),
    asking('/a', 'GET', 'application/json'),
    { method: 'GET', url: '/a', headers: {} } as IncomingMessage,
  ])('sends pages only', (request) => {
    expect(loginPageFor(request, '/login', undefined)).toBeUndefined();
  });

  it('sends nobody anywhere where there is no login page', () => {
    expect(loginPageFor(asking('/a'), undefined, undefined)).toBeUndefined();
  });
});
