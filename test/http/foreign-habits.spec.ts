import { Controller, Get, Post, Req } from '@nestjs/common';
import { Session } from 'nest-session';
import { Browser } from '../support/browser.js';
import { platforms, startApp, type TestApp } from '../support/http-app.js';

type WithSession = { session: unknown };

const messageOf = (work: () => unknown) => {
  try {
    return { result: work() };
  } catch (error) {
    return { message: (error as Error).message };
  }
};

@Controller()
class Pages {
  /** What connect-flash does: `this.session.flash = this.session.flash || {}`, and messages in there. */
  @Post('note')
  note(@Session() _: Session, @Req() request: WithSession) {
    const session = request.session as Record<'flash', Record<string, unknown>>;
    const left = messageOf(() => (session.flash.info = 'for the first visitor only'));
    const assigned = messageOf(() => (session.flash = session.flash ?? {}));
    return { left, assigned };
  }

  @Get('note')
  read(@Session() session: Session) {
    return { info: (session.flash as unknown as Record<string, unknown>).info ?? null };
  }

  @Post('null')
  end(@Req() request: WithSession) {
    return messageOf(() => (request.session = null));
  }
}

describe.each(platforms)('on %s, what other session libraries let one write', (platform) => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ platform, controllers: [Pages] });
  });
  afterAll(() => app.close());

  it('leaves nothing of one visitor for the next on a method of the session', async () => {
    const answer = await new Browser(app.url).post('/note');

    expect(answer.json()).toEqual({
      left: { message: expect.stringContaining('info') },
      assigned: { message: expect.stringContaining("session.flash can't be assigned") },
    });
    expect((await new Browser(app.url).get('/note')).json()).toEqual({ info: null });
  });

  it('says what to write in place of request.session = null', async () => {
    const answer = await new Browser(app.url).post('/null');

    expect(answer.json()).toEqual({ message: expect.stringContaining('await session.flush()') });
  });
});
