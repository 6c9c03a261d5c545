import fc from 'fast-check';
import { FakeClock } from 'nest-session/testing';
import { applyChange, applyTouch, type SessionRecord } from '../../../lib/core/record.js';
import { jsonSerializer } from '../../../lib/core/serializer.js';
import { type CommitPlan, SessionState, type StateOptions } from '../../../lib/core/session-state.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const NOW = Date.UTC(2030, 0);
const OPTIONS: StateOptions = {
  ...{ idleTimeoutMs: HOUR, absoluteTimeoutMs: 10 * HOUR, touchEveryMs: MINUTE, persistent: true },
  ...{ maxSize: 1_000, serializer: jsonSerializer },
};

const recordOf = (more: Partial<SessionRecord> = {}): SessionRecord => ({
  ...{ format: 1, handle: 'f'.repeat(32), values: { n: '1' }, createdAt: NOW - HOUR, lastSeenAt: NOW },
  ...{ expiresAt: NOW + HOUR, absoluteExpiresAt: NOW + 9 * HOUR, policy: '' },
  ...more,
});

function stored(more: Partial<SessionRecord> = {}, options: Partial<StateOptions> = {}) {
  const clock = new FakeClock(NOW);
  const identity = { id: 'id', key: 'key', record: recordOf(more) };
  return { clock, state: new SessionState('living', identity, { ...OPTIONS, ...options }, clock, () => {}) };
}

function anonymous(options: Partial<StateOptions> = {}) {
  const clock = new FakeClock(NOW);
  return {
    clock,
    state: new SessionState('nothing', undefined, { ...OPTIONS, ...options }, clock, () => {}),
  };
}

/** Settles a plan as a store that did it would. */
function done(state: SessionState, plan: CommitPlan | undefined): void {
  const before = state.stored?.record;
  if (plan?.kind === 'create') state.settle(plan, { id: 'new', key: 'new', record: plan.record });
  else if (plan?.kind === 'touch')
    state.settle(plan, { id: 'id', key: 'key', record: applyTouch(before as SessionRecord, plan.touch) });
  else if (plan && plan.kind !== 'end')
    state.settle(plan, { id: 'id', key: 'key', record: applyChange(before as SessionRecord, plan.change) });
}

describe('SessionState', () => {
  describe('of an anonymous visitor plans', () => {
    it.each<[string, (state: SessionState) => void]>([
      ['after nothing', () => undefined],
      ['after a read', ({ values }) => void values.get('n')],
      ['after a set that was taken back', ({ values }) => (values.set('n', 1), void values.delete('n'))],
      ['after a clear', ({ values }) => values.clear()],
      ['after cycleId', (state) => state.cycleId()],
      ['after setExpiry', (state) => void state.setExpiry('5m')],
    ])('nothing %s, and needs no cookie', (_, use) => {
      const { state } = anonymous();
      use(state);

      expect([state.plan(), state.needsCookie]).toEqual([undefined, false]);
    });

    it('a create with all deadlines once there is a value, and needs a cookie', () => {
      const { state, clock } = anonymous();
      state.values.set('n', 1);
      const begun = state.createdAt;
      clock.advance('1m');

      expect(state.needsCookie).toBe(true);
      expect(state.plan()).toMatchObject({
        kind: 'create',
        record: {
          ...{ format: 1, handle: state.handle, values: { n: '1' }, createdAt: begun, policy: '' },
          ...{ lastSeenAt: NOW + MINUTE, expiresAt: NOW + MINUTE + HOUR, absoluteExpiresAt: NOW + 10 * HOUR },
        },
      });
    });

    it('a create under the expiry that was asked for', () => {
      const { state } = anonymous();
      state.values.set('n', 1);
      state.setExpiry('5m');

      expect(state.plan()).toMatchObject({
        record: { policy: `idle:${5 * MINUTE}`, expiresAt: NOW + 5 * MINUTE },
      });
    });

    it('a create once, whether it was cycled or not', () => {
      const { state } = anonymous();
      state.values.set('n', 1);
      state.cycleId();
      done(state, state.plan());

      expect([state.plan(), state.isModified, state.isNew, state.isConfirmed]).toEqual([
        ...[undefined, false, false, false],
      ]);
    });
  });

  describe('of a stored session plans', () => {
    it('nothing when it was only read, and a touch once per touchEvery', () => {
      const { state, clock } = stored();
      state.values.get('n');
      clock.set(NOW + MINUTE - 1);
      expect(state.plan()).toBeUndefined();

      clock.set(NOW + MINUTE);
      const touch = { lastSeenAt: NOW + MINUTE, expiresAt: NOW + MINUTE + HOUR, basedOn: '' };
      expect(state.plan()).toEqual({ kind: 'touch', touch });
      expect(state.needsCookie).toBe(false);
      done(state, state.plan());
      expect(state.plan()).toBeUndefined();
    });

    it('a touch that does not pass the absolute deadline', () => {
      const { state, clock } = stored({ expiresAt: NOW + 9 * HOUR });
      clock.set(NOW + 8.5 * HOUR);

      expect(state.plan()).toMatchObject({ kind: 'touch', touch: { expiresAt: NOW + 9 * HOUR } });
    });

    it('a save of what changed, with the new deadline and the policy that it was computed from', () => {
      const { state } = stored({ policy: 'idle:120000' });
      state.values.set('m', 2);
      state.values.delete('n');
      const plan = state.plan();

      expect(plan).toMatchObject({
        kind: 'save',
        change: { removed: ['n'], basedOn: 'idle:120000', expiresAt: NOW + 120_000, lastSeenAt: NOW },
      });
      expect(plan).toHaveProperty('change.set.m', '2');
      expect(plan).toHaveProperty('change.policy', undefined);
      expect(plan).toHaveProperty('change.cleared', undefined);
      expect(state.needsCookie).toBe(false);
    });

    it('a save of a clear, even of all values: an emptied session stays', () => {
      const { state } = stored();
      state.values.clear();
      expect(state.plan()).toMatchObject({ kind: 'save', change: { cleared: true } });
    });

    it('a rename after cycleId, with the changes in the same step, and once', () => {
      const { state } = stored();
      state.cycleId();
      state.values.set('m', 2);

      expect([state.needsCookie, state.isModified]).toEqual([true, true]);
      expect(state.plan()).toMatchObject({ kind: 'rename', change: { set: { m: '2' } } });
      done(state, state.plan());
      expect([state.plan(), state.needsCookie, state.isModified]).toEqual([undefined, false, false]);
    });

    it('a save of a new expiry, once', () => {
      const { state } = stored();
      state.setExpiry('5m');

      const change = { policy: `idle:${5 * MINUTE}`, basedOn: '', expiresAt: NOW + 5 * MINUTE };
      expect(state.plan()).toMatchObject({ kind: 'save', change });
      done(state, state.plan());
      expect([state.plan(), state.isModified]).toEqual([undefined, false]);
    });

    it('the end for an expiry in the past, whatever else was done', () => {
      const { state } = stored();
      state.values.set('m', 2);
      state.cycleId();
      state.setExpiry(new Date(NOW));

      expect(state.plan()).toEqual({ kind: 'end' });
    });

    it('the same again after a commit that failed', () => {
      const { state } = stored();
      state.values.set('m', 2);
      expect(state.plan()).toEqual(state.plan());
    });
  });

  describe('needs a cookie when its end moves', () => {
    it.each<[string, Partial<SessionRecord>, Parameters<SessionState['setExpiry']>[0], boolean]>([
      ['to the end of the browser', {}, 'browser', true],
      ['from the end of the browser', { policy: 'browser' }, undefined, true],
      ['to a Date', {}, new Date(NOW + HOUR), true],
      ['not for another idle timeout: the cookie outlives it', {}, '5m', false],
      ['not for a Date beyond the absolute deadline', {}, new Date(NOW + 100 * HOUR), false],
      ['not for what it has', { policy: 'browser' }, 0, false],
    ])('%s', (_, record, expiry, needed) => {
      const { state } = stored(record);
      state.setExpiry(expiry);
      expect(state.needsCookie).toBe(needed);
    });
  });

  it('tells the absolute deadline, which setExpiry does not move', () => {
    const { state } = stored();
    state.setExpiry('30d');

    expect([state.absoluteExpiresAt, state.expiresAt]).toEqual([NOW + 9 * HOUR, NOW + 9 * HOUR]);
    expect(anonymous().state.absoluteExpiresAt).toBe(NOW + 10 * HOUR);
  });

  describe('of a visit that is none', () => {
    it.each(['passive', 'nobody'] as const)('plans no touch: %s', (visit) => {
      const { state, clock } = stored();
      state.visit = visit;
      clock.advance('30m');
      expect(state.plan()).toBeUndefined();
    });

    it.each(['passive', 'nobody'] as const)(
      'plans a save that keeps the deadline which is stored then: %s',
      (visit) => {
        const { state, clock } = stored({ policy: 'idle:120000' });
        state.visit = visit;
        clock.advance('1m');
        state.values.set('m', 2);
        const { lastSeenAt, expiresAt } = recordOf();
        expect(state.plan()).toMatchObject({ change: { basedOn: 'keep', lastSeenAt, expiresAt } });
      },
    );

    it('plans what a login and setExpiry ask for', () => {
      const login = stored().state;
      login.visit = 'passive';
      login.authenticate({ userId: '7', auth: { at: NOW }, kind: 'login', absoluteTimeoutMs: 5 * HOUR });
      expect(login.plan()).toMatchObject({ change: { basedOn: '', lastSeenAt: NOW, expiresAt: NOW + HOUR } });
      const { state } = stored();
      state.visit = 'nobody';
      state.setExpiry('5m');
      expect(state.plan()).toMatchObject({ change: { expiresAt: NOW + 5 * MINUTE, policy: 'idle:300000' } });
    });
  });

  it('keeps the deadline of a session that a faster request may have confirmed since this one has begun it', () => {
    const { state } = anonymous({ unconfirmedTimeoutMs: 10 * MINUTE });
    state.values.set('n', 1);
    expect(state.plan()).toMatchObject({
      record: { policy: 'unconfirmed', expiresAt: NOW + 10 * MINUTE, absoluteExpiresAt: NOW + 10 * HOUR },
    });
    done(state, state.plan());
    state.values.set('n', 2);
    expect(state.plan()).toMatchObject({ kind: 'save', change: { basedOn: 'keep', policy: undefined } });
  });

  it('moves a deadline by visits and setExpiry alone, and the absolute one by nothing', () => {
    const expiry = fc.oneof(
      fc.integer({ min: 1, max: 20 * 3600 }),
      fc.constantFrom('browser' as const, undefined, '5m'),
      fc.integer({ min: 1, max: 20 }).map((hours) => new Date(NOW + hours * HOUR)),
    );
    const request = fc.record({
      waitMs: fc.integer({ min: 0, max: 40 * MINUTE }),
      visit: fc.constantFrom('active' as const, 'passive' as const, 'nobody' as const),
      sets: fc.boolean(),
      cycles: fc.boolean(),
      expiry: fc.option(expiry.map((to) => ({ to }))),
    });
    const policies = fc.constantFrom('', 'unconfirmed', 'unconfirmed:idle:600000', 'idle:7200000', 'browser');
    const options = { ...OPTIONS, unconfirmedTimeoutMs: 10 * MINUTE };
    const requests = fc.array(request, { maxLength: 12 });
    fc.assert(
      fc.property(policies, requests, (policy, all) => {
        const clock = new FakeClock(NOW);
        const expiresAt = NOW + 10 * MINUTE;
        let record = recordOf({ policy, expiresAt });
        for (const { waitMs, visit, sets, cycles, expiry: asked } of all) {
          clock.set(clock.now() + waitMs);
          if (record.expiresAt <= clock.now()) return;
          const identity = { id: 'id', key: 'key', record };
          const state = new SessionState('living', identity, options, clock, () => {});
          state.visit = visit;
          if (sets) state.values.set('at', clock.now());
          if (cycles) state.cycleId();
          if (asked) state.setExpiry(asked.to);
          const plan = state.plan();
          if (plan?.kind === 'end') return;
          done(state, plan);
          const after = state.stored?.record as SessionRecord;
          expect(after.absoluteExpiresAt).toBe(record.absoluteExpiresAt);
          expect(after.expiresAt).toBeLessThanOrEqual(record.absoluteExpiresAt);
          const isMarked = record.policy.startsWith('unconfirmed');
          if (!asked && (visit === 'nobody' || (visit === 'passive' && !isMarked)))
            expect([after.expiresAt, after.lastSeenAt]).toEqual([record.expiresAt, record.lastSeenAt]);
          if (visit === 'passive') expect(after.lastSeenAt).toBe(record.lastSeenAt);
          record = after;
        }
      }),
    );
  });

  it('names the handle of the session whose text is corrupt', () => {
    const seen: string[] = [];
    const identity = { id: 'id', key: 'key', record: recordOf({ values: { n: '{' } }) };
    const state = new SessionState('living', identity, OPTIONS, new FakeClock(NOW), (each) =>
      seen.push(each),
    );
    state.values.get('n');

    expect(seen).toEqual(['f'.repeat(32)]);
  });
});
