import type { SessionModuleOptions } from 'nest-session';

const PAGES = 'https://shop.pages.example'; // where the single-page application is served from

/** SessionModule.forRoot({ store, secret, ...sessionsForOtherSite }) */
export const sessionsForOtherSite = {
  cookie: { secure: true, sameSite: 'none', partitioned: true },
  csrf: { trustedOrigins: [PAGES] },
} satisfies Partial<SessionModuleOptions>;

/** app.enableCors(corsForOtherSite) */
export const corsForOtherSite = {
  origin: PAGES, // never true or '*': any page could read a visitor's answers
  credentials: true,
  methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'], // @fastify/cors allows no more than the first two by itself
};
