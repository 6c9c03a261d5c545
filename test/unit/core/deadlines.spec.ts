import {
  BROWSER_POLICY,
  cookieEndOf,
  deadlineOf,
  idlePolicy,
  isTouchDue,
  maxAgeSeconds,
  MODULE_POLICY,
  untilPolicy,
} from '../../../lib/core/deadlines.js';

const options = { idleTimeoutMs: 10_000, touchEveryMs: 1_000, persistent: true };
const NOW = 1_000_000;
const ABSOLUTE = NOW + 60_000;

describe('deadlineOf', () => {
  it.each([
    ["the module's idle timeout", MODULE_POLICY, NOW + 10_000],
    ['the same for a browser session: the server does not wait for ever', BROWSER_POLICY, NOW + 10_000],
    ['an idle timeout of its own', idlePolicy(25_000), NOW + 25_000],
    ['a fixed end, which use does not move', untilPolicy(NOW + 30_000), NOW + 30_000],
    ['a fixed end in the past', untilPolicy(NOW - 1), NOW - 1],
    ['never beyond the absolute deadline: idle', idlePolicy(600_000), ABSOLUTE],
    ['never beyond the absolute deadline: fixed', untilPolicy(NOW + 600_000), ABSOLUTE],
  ])('is %s', (_, policy, expected) => {
    expect(deadlineOf(policy, NOW, ABSOLUTE, options)).toBe(expected);
  });

  it('stays at the absolute deadline however late it is used', () => {
    expect(deadlineOf(MODULE_POLICY, ABSOLUTE - 1, ABSOLUTE, options)).toBe(ABSOLUTE);
  });
});

describe('isTouchDue', () => {
  it('once per touchEvery', () => {
    expect(isTouchDue(MODULE_POLICY, NOW, NOW + 999, options)).toBe(false);
    expect(isTouchDue(MODULE_POLICY, NOW, NOW + 1_000, options)).toBe(true);
  });

  it('at each moment with a touchEvery of 0, and once in it', () => {
    const always = { ...options, touchEveryMs: 0 };
    expect(isTouchDue(MODULE_POLICY, NOW, NOW, always)).toBe(false);
    expect(isTouchDue(MODULE_POLICY, NOW, NOW + 1, always)).toBe(true);
    expect(isTouchDue(MODULE_POLICY, NOW, NOW - 1, always)).toBe(false);
  });

  it('in time for a shorter idle timeout of its own', () => {
    expect(isTouchDue(idlePolicy(2_000), NOW, NOW + 199, options)).toBe(false);
    expect(isTouchDue(idlePolicy(2_000), NOW, NOW + 200, options)).toBe(true);
  });

  it('not more often for a longer one', () => {
    expect(isTouchDue(idlePolicy(1_000_000), NOW, NOW + 999, options)).toBe(false);
    expect(isTouchDue(idlePolicy(1_000_000), NOW, NOW + 1_000, options)).toBe(true);
  });
});

describe('cookieEndOf', () => {
  it.each([
    ['the absolute deadline: the cookie outlives an idle end', MODULE_POLICY, ABSOLUTE],
    ['the absolute deadline for an idle timeout of its own', idlePolicy(5_000), ABSOLUTE],
    ['the end of the browser', BROWSER_POLICY, 'browser'],
    ['a fixed end', untilPolicy(NOW + 5_000), NOW + 5_000],
    ['the absolute deadline for a later fixed end', untilPolicy(NOW + 600_000), ABSOLUTE],
  ])('is %s', (_, policy, expected) => {
    expect(cookieEndOf(policy, ABSOLUTE, options)).toBe(expected);
  });

  it('is the end of the browser where cookies are not persistent, but for an idle timeout of its own and a fixed end', () => {
    const brief = { ...options, persistent: false };
    expect(cookieEndOf(MODULE_POLICY, ABSOLUTE, brief)).toBe('browser');
    expect(cookieEndOf(idlePolicy(5_000), ABSOLUTE, brief)).toBe(ABSOLUTE);
    expect(cookieEndOf(untilPolicy(NOW + 1), ABSOLUTE, brief)).toBe(NOW + 1);
  });
});

describe('maxAgeSeconds', () => {
  const DAY = 86_400;

  it.each([
    ['whole seconds, the nearest', NOW + 1_999, 2],
    ['0 for an end that has passed', NOW - 5_000, 0],
    ['at most 400 days (RFC 6265bis, 5.6.2)', NOW + 500 * DAY * 1000, 400 * DAY],
  ])('is %s', (_, end, expected) => {
    expect(maxAgeSeconds(end, NOW)).toBe(expected);
  });
});
