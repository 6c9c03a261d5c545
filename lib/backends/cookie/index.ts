export { type EncryptedCookieOptions, EncryptedCookieSessions } from './encrypted-cookie-sessions.js';
