import { randomUUID } from 'node:crypto';
import {
  Body,
  Controller,
  Get,
  HttpCode,
  InternalServerErrorException,
  Param,
  Post,
  Query,
} from '@nestjs/common';
import { Authenticated, CurrentUser, Session, SessionAuth, type SessionUserProvider } from 'nest-session';
import type { Browser } from './browser.js';
import type { AnySession } from './stage.js';

export interface Person {
  readonly id: string;
  name: string;
  passwordHash: string | undefined;
  isDisabled: boolean;
  validAfter: Date | undefined;
}

/** All users of all applications of a test file. */
export const people = new Map<string, Person>();

export function newPerson(name = 'Ada'): Person {
  const id = randomUUID();
  const person = { id, name, passwordHash: `hash of ${id}`, isDisabled: false, validAfter: undefined };
  people.set(id, person);
  return person;
}

/** How often a user was looked for, by id. */
export const lookUps = new Map<string, number>();

export class AppUsers implements SessionUserProvider<Person> {
  async findById(id: string) {
    lookUps.set(id, (lookUps.get(id) ?? 0) + 1);
    await new Promise(setImmediate); // as a database takes its time
    const person = people.get(id);
    return person && { ...person };
  }

  idOf(person: Person) {
    return person.id;
  }

  isActive(person: Person) {
    return !person.isDisabled;
  }

  authHash(person: Person) {
    return person.passwordHash;
  }

  sessionsValidAfter(person: Person) {
    return person.validAfter;
  }
}

interface LoginForm {
  readonly user: string;
  readonly remember?: string;
}

interface LoginQuery {
  user: string;
  remember?: string;
  level?: string;
}

/** Every method of SessionAuth behind a route. */
@Controller()
export class People {
  constructor(private readonly auth: SessionAuth<Person>) {}

  @Get('unused')
  unused() {
    return 'a page';
  }

  @Post('fill')
  fill(@Session() session: AnySession, @Query('item') item = 'tea') {
    session.set('cart', [...((session.get('cart') as string[] | undefined) ?? []), item]);
    return {};
  }

  @Post('count')
  async count(@Session() session: AnySession) {
    return { n: await session.atomic('n', (n) => ((n as number | undefined) ?? 0) + 1) };
  }

  @Post('note')
  note_(@Session() session: AnySession, @Query('by') by: string) {
    session.set('notes', [`${by} ${session.userId ?? 'nobody'}`]);
    return {};
  }

  @Get('model')
  model(@Session() session: AnySession) {
    return { user: session.userId ?? null, n: session.get('n'), notes: session.get('notes') };
  }

  @Post('flush')
  async flush(@Session() session: AnySession) {
    await session.flush();
    return {};
  }

  @Get('read')
  read(@Session() session: AnySession) {
    return { ...session.data, user: session.userId ?? null, handle: session.isNew ? null : session.handle };
  }

  @Post('login')
  async login(@Session() session: AnySession, @Query() { user, remember, level }: LoginQuery) {
    await this.auth.login(session, personOf(user), {
      ...(remember !== undefined && { remember: remember === 'yes' }),
      level: level === undefined ? undefined : Number(level),
    });
    return { user: session.userId };
  }

  @Post('login-then-500')
  async loginThen500(@Session() session: AnySession, @Query('user') user: string) {
    await this.auth.login(session, personOf(user));
    throw new InternalServerErrorException();
  }

  @Post('login-then-400')
  @HttpCode(400)
  async loginThen400(@Session() session: AnySession, @Query('user') user: string) {
    await this.auth.login(session, personOf(user));
    return {};
  }

  @Post('first-factor')
  async firstFactor(@Session() session: AnySession, @Query() { user, remember }: LoginQuery) {
    const options = { methods: ['pwd'], ...(remember !== undefined && { remember: remember === 'yes' }) };
    await this.auth.pending(session, personOf(user), options);
    return { user: session.userId ?? null };
  }

  /** As the documents write it: what the form sends goes on as it came. */
  @Post('login-by-form')
  async loginByForm(@Session() session: AnySession, @Body() form: LoginForm) {
    await this.auth.login(session, personOf(form.user), { remember: form.remember });
    return {};
  }

  @Post('first-factor-by-form')
  async firstFactorByForm(@Session() session: AnySession, @Body() form: LoginForm) {
    await this.auth.pending(session, personOf(form.user), { remember: form.remember });
    return {};
  }

  @Post('second-factor')
  async secondFactor(@Session() session: AnySession) {
    const user = await this.auth.pendingUser(session);
    if (!user) return { user: null };
    await this.auth.login(session, user, { level: 2, methods: ['otp'] });
    return { user: session.userId };
  }

  @Post('confirm')
  async confirm(@Session() session: AnySession) {
    await this.auth.confirm(session);
    return {};
  }

  @Post('logout')
  async logout(@Session() session: AnySession) {
    await this.auth.logout(session);
    return {};
  }

  @Post('logout-then-500')
  async logoutThen500(@Session() session: AnySession) {
    await this.auth.logout(session);
    throw new InternalServerErrorException();
  }

  @Post('logout-and-clear')
  async logoutAndClear(@Session() session: AnySession) {
    await this.auth.logout(session, { clearSiteData: true });
    return {};
  }

  @Post('cycle')
  cycle(@Session() session: AnySession) {
    session.cycleId();
    return {};
  }

  @Post('clear')
  clear(@Session() session: AnySession) {
    session.clear();
    return {};
  }

  @Get('me')
  @Authenticated()
  me(@CurrentUser() user: Person) {
    return { id: user.id, name: user.name };
  }

  @Post('me/rename')
  @Authenticated()
  rename(@Session() session: AnySession, @CurrentUser('name') name: string) {
    session.set('greeting', `Hello ${name}`);
    return {};
  }

  @Get('maybe')
  maybe(@CurrentUser() user: Person | undefined, @CurrentUser('name') name: string | undefined) {
    return { id: user?.id ?? null, name: name ?? null };
  }

  @Post('maybe/note')
  note(@CurrentUser() user: Person | undefined, @Session() session: AnySession) {
    session.set('note', user?.id ?? 'nobody');
    return { id: user?.id ?? null };
  }

  @Post('password')
  @Authenticated()
  async password(@Session() session: AnySession, @CurrentUser() user: Person, @Query('to') to: string) {
    const person = personOf(user.id);
    person.passwordHash = to;
    await this.auth.refresh(session, person);
    return {};
  }

  @Get('devices')
  @Authenticated()
  async devices(@Session() session: AnySession, @CurrentUser() user: Person) {
    return this.auth.sessions(user, session);
  }

  @Post('devices/others/revoke')
  async revokeOthers(@Session() session: AnySession) {
    return { ended: await this.auth.revokeOthers(session) };
  }

  @Post('devices/all/revoke')
  @Authenticated()
  async revokeAll(@CurrentUser() user: Person) {
    return { ended: await this.auth.revokeAll(user), user: user.id };
  }

  @Post('devices/one/:handle/revoke')
  @Authenticated()
  async revoke(@CurrentUser() user: Person, @Param('handle') handle: string) {
    await this.auth.revoke(user, handle);
    return {};
  }
}

export function personOf(id: string): Person {
  const person = people.get(id);
  if (!person) throw new Error('There is no such person in this test.');
  return person;
}

export async function loggedIn(browser: Browser, person: Person): Promise<Browser> {
  await browser.post(`/login?user=${person.id}`);
  return browser;
}
