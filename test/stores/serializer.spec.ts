import { randomBytes } from 'node:crypto';
import { Controller, Get, Post } from '@nestjs/common';
import { Session, Sessions } from 'nest-session';
import { encryptedValues } from '../../docs/examples/encrypted-values.js';
import { describeLaw, keyOfCookie, withUsers } from '../support/laws.js';
import { AppUsers, newPerson, People } from '../support/people.js';
import type { AnySession } from '../support/stage.js';

@Controller('values')
class Pages {
  @Post()
  write(@Session() session: AnySession) {
    session.set('basket', { tea: 1, sorts: ['green'] });
    session.flash('notice', { text: 'Welcome.' });
    return {};
  }

  @Get()
  read(@Session() session: AnySession) {
    const basket = session.get('basket');
    return { basket, modified: session.modified };
  }

  @Post('more')
  more(@Session() session: AnySession) {
    (session.data.basket as { tea: number }).tea++;
    return { modified: session.modified };
  }

  @Post('atomic')
  async atomic(@Session() session: AnySession) {
    return { n: await session.atomic('n', (n) => Number(n ?? 0) + 1) };
  }
}

const encrypted = {
  controllers: [Pages, People],
  session: { auth: { users: AppUsers }, serializer: encryptedValues(randomBytes(32)) },
};

describeLaw('a serializer that encrypts with a random nonce', encrypted, (law) => {
  const recordOf = async (cookie: string | undefined) => (await law.store.load(keyOfCookie(cookie)))!;

  it('shows no value to who reads the store', async () => {
    const visitor = law.visitor();
    await visitor.post('/values');

    const { values } = await recordOf(await visitor.cookie('sessionid'));
    expect(Object.keys(values)).toContain('basket');
    expect(JSON.stringify(values)).not.toMatch(/green|Welcome/);
  });

  it('makes no write of a read', async () => {
    const visitor = law.visitor();
    await visitor.post('/values');
    law.forget();

    const answer = await visitor.get('/values');

    expect(answer.json()).toEqual({ basket: { tea: 1, sorts: ['green'] }, modified: false });
    expect(law.commands).toEqual(['load']);
  });

  it('saves what was changed inside a value, and nothing else', async () => {
    const visitor = law.visitor();
    await visitor.post('/values');
    const cookie = await visitor.cookie('sessionid');
    const before = await recordOf(cookie);

    expect((await visitor.post('/values/more')).json()).toEqual({ modified: true });

    const after = await recordOf(cookie);
    expect((await visitor.get('/values')).json().basket).toEqual({ tea: 2, sorts: ['green'] });
    const changed = Object.keys(after.values).filter((name) => after.values[name] !== before.values[name]);
    expect(changed).toEqual(['basket']);
  });

  it('changes values in one step', async () => {
    const visitor = law.visitor();
    await visitor.post('/values');
    await Promise.all([1, 2, 3].map(() => visitor.post('/values/atomic')));

    expect((await visitor.post('/values/atomic')).json()).toEqual({ n: 4 });
  });
});

describeLaw('and sessions of users under it', { ...encrypted, on: withUsers }, (law) => {
  it('are found, read and left alone outside of requests', async () => {
    const person = newPerson();
    const visitor = law.visitor();
    await visitor.post(`/login?user=${person.id}`);
    await visitor.post('/values');
    const { handle } = (await visitor.get('/read')).json();

    const sessions = law.app.get<Sessions>(Sessions);
    const session = await sessions.open<Record<string, unknown>>(person.id, String(handle));
    law.forget();
    expect(session?.get('basket')).toEqual({ tea: 1, sorts: ['green'] });
    await session?.save();

    expect([session?.modified, session?.userId, law.commands]).toEqual([false, person.id, []]);
  });
});
