import { SessionStoreUnsupportedError } from 'nest-session';
import type { DirectAnswer, DirectHandler, DirectRequests } from '../support/direct-requests.js';
import type { Choose, HeldStore } from '../support/every-order.js';
import { newPerson, type Person } from '../support/people.js';

/** What gives a session a new id, or ends it, or counts what was acknowledged. */
const OPERATIONS = {
  count: () => (session) => session.atomic('n', (n) => ((n as number | undefined) ?? 0) + 1),
  cycle: () => (session) => session.cycleId(),
  login:
    ({ ada }) =>
    (session, auth) =>
      auth.login(session, ada),
  'login as another':
    ({ bob }) =>
    (session, auth) =>
      auth.login(session, bob),
  confirm: () => (session, auth) => auth.confirm(session),
  refresh:
    ({ ada }) =>
    async (session, auth) => {
      if (await auth.user(session)) await auth.refresh(session, ada);
    },
  flush: () => (session) => session.flush(),
  logout: () => (session, auth) => auth.logout(session),
  revoke:
    ({ ada, handle }) =>
    (_, auth) =>
      auth.revoke(ada, handle),
  revokeAll:
    ({ ada }) =>
    (_, auth) =>
      auth.revokeAll(ada),
} satisfies Record<string, (cast: Cast) => DirectHandler>;

export type Operation = keyof typeof OPERATIONS;
export const operations = Object.keys(OPERATIONS) as Operation[];
export const beginnings = ['anonymous', 'logged in'] as const;
export type Beginning = (typeof beginnings)[number];

interface Cast {
  readonly ada: Person;
  readonly bob: Person;
  /** Of the session that the browser has at the beginning. */
  readonly handle: string;
}

/** A browser with a session sends several requests at once. */
export interface Story {
  readonly begins: Beginning;
  readonly operations: readonly Operation[];
}

/** Every pair of operations, with `middle` between them if it is given. */
export function storiesWith(middle?: Operation): Story[] {
  const pairs = operations.flatMap((one, index) => operations.slice(index).map((other) => [one, other]));
  return beginnings.flatMap((begins) =>
    pairs.map(([one, other]) => ({ begins, operations: middle ? [one, middle, other] : [one, other] })),
  );
}

export const nameOf = ({ begins, operations: each }: Story): string => `${begins}: ${each.join(' · ')}`;

/** Needs a store that finds sessions by user. */
export const asksForUsers = ({ operations: each }: Story): boolean =>
  each.includes('revoke') || each.includes('revokeAll');

const ENDS: readonly Operation[] = ['flush', 'logout', 'revoke', 'revokeAll'];
const LOGINS: readonly Operation[] = ['login', 'login as another'];

/**
 * Plays a story in one order, and holds it to the laws.
 *
 * @returns what was wrong, with the order of the commands; nothing when all was right
 */
export async function play(
  direct: DirectRequests,
  held: HeldStore,
  story: Story,
  choose: Choose,
): Promise<string[]> {
  const [ada, bob] = [newPerson(), newPerson('Bob')];
  const livingBefore = await direct.store.count();
  const living = async () => (await direct.store.count()) - livingBefore;
  const begun = await direct.request(undefined, (session) => session.set('n', 1));
  const start =
    story.begins === 'anonymous'
      ? begun
      : await direct.request(begun.cookie, (session, auth) => auth.login(session, ada));
  const handle = (await direct.request(start.cookie, (session) => session.handle)).result as string;

  const told: string[] = [];
  const stopListening = direct.events.on('ended', (event) => event.handle && told.push(event.handle));
  const answers: DirectAnswer[] = [];
  const { trace, isWhole } = await held.run(
    story.operations.map((operation, index) => async () => {
      answers[index] = await direct.request(start.cookie, OPERATIONS[operation]({ ada, bob, handle }));
    }),
    choose,
  );
  stopListening();

  const problems: string[] = [];
  const expect = (isRight: boolean, what: string) => {
    if (!isRight) problems.push(`${what} | ${trace.join(' ')} | ${answers.map(textOf).join(', ')}`);
  };
  if (isWhole) await check();
  return problems;

  /** 0 where the store finds no sessions by user. */
  async function devicesOf({ id }: Person): Promise<number> {
    const found = await direct.store.findByUser(id).catch(unlessUnsupported);
    return found.length;
  }

  async function check(): Promise<void> {
    const done = (each: readonly Operation[]) =>
      story.operations.filter((operation, index) => each.includes(operation) && answers[index].status < 300);
    const ends = done(story.begins === 'logged in' ? ENDS : ['flush', 'logout']);
    const hasLogin = story.operations.some((operation) => LOGINS.includes(operation));
    const mayEnd = story.operations.some((operation) => ENDS.includes(operation));
    const ids = [start, ...answers].flatMap(({ cookie }) => cookie || []);

    expect(
      answers.every(({ status }) => [201, 401, 404, 409].includes(status)),
      'a request failed',
    );
    const count = await living();
    expect(count <= 1, `${count} sessions live`);
    if (ends.length > 0 && !hasLogin) expect(count === 0, 'it lives after it was ended');
    expect(new Set(told).size === told.length, 'an end was told twice');
    expect((await devicesOf(ada)) <= 1, 'there are two entries in the list of devices');

    if (!mayEnd && !story.operations.includes('login as another')) {
      for (const [index, operation] of story.operations.entries()) {
        if (operation !== 'login' || answers[index].status >= 300) continue;
        const me = await direct.request(answers[index].cookie, (session) => session.userId);
        expect(me.result === ada.id, `the browser is out when the answer of request ${index} comes last`);
      }
      const values = await Promise.all(
        ids.map(async (id) => (await direct.request(id, (session) => session.get('n'))).result),
      );
      const found = values.find((value) => value !== undefined);
      const acknowledged = 1 + done(['count']).length;
      // Who comes with an id that a cycle has replaced gets nothing of what an anonymous visitor has.
      const mayBeKept =
        story.begins === 'anonymous' && story.operations.includes('cycle') && hasLogin && found === undefined;
      expect(found === acknowledged || mayBeKept, `${acknowledged} acknowledged, there is ${String(found)}`);
    }
    if (
      story.begins === 'logged in' &&
      done(['login as another']).length > 0 &&
      !story.operations.includes('login')
    )
      expect((await devicesOf(ada)) === 0, 'the other user’s session lives');

    // A logout by any of them ends it: another one in each order.
    const first = trace.join('').length % ids.length;
    await direct.request(ids[first], (session, auth) => auth.logout(session));
    const alive = await living();
    expect(alive === 0, `${alive} sessions live after a logout by id ${first} of ${ids.length}`);
    for (const id of ids) {
      const { status } = await direct.request(id, (session, auth) => auth.logout(session));
      expect(status === 201, `a logout by an id that was issued is a ${status}`);
    }
    const left = await living();
    expect(left === 0, `${left} sessions live after a logout by every id that was issued`);
  }
}

function unlessUnsupported(error: unknown): [] {
  if (error instanceof SessionStoreUnsupportedError) return [];
  throw error;
}

function textOf({ status, code = '', cookie }: DirectAnswer): string {
  const said = cookie === undefined ? '' : cookie === '' ? ' clears the cookie' : ' sets the cookie';
  return `${status} ${code}${said}`;
}
