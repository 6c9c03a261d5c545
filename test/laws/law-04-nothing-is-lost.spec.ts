import { Body, Controller, Get, Param, Post, Query, Redirect } from '@nestjs/common';
import { Session } from 'nest-session';
import { describeLaw, gate } from '../support/laws.js';

type Data = Session<Record<string, unknown>>;

@Controller()
class Pages {
  @Get('read')
  read(@Session() session: Data) {
    return session.data;
  }

  @Post('set/:name/:value')
  set(@Session() session: Data, @Param('name') name: string, @Param('value') value: string) {
    session.set(name, value);
    return {};
  }

  @Post('delete/:name')
  delete(@Session() session: Data, @Param('name') name: string) {
    session.delete(name);
    return {};
  }

  @Post('cart/:item')
  cart(@Session() session: Data, @Param('item') item: string) {
    const cart = session.setDefault('cart', { items: [] }) as { items: string[] };
    cart.items.push(item);
    return {};
  }

  @Post('look-at-cart')
  lookAtCart(@Session() session: Data) {
    return session.get('cart') ?? {};
  }

  @Post('clear')
  clear(@Session() session: Data) {
    session.clear();
    return {};
  }

  @Post('increment')
  async increment(@Session() session: Data) {
    return { count: await session.atomic('count', (count) => Number(count ?? 0) + 1) };
  }

  @Post('both')
  async both(@Session() session: Data, @Query('fail') fail?: string) {
    session.set('count', 10);
    await session.atomic('count', (count) => Number(count) + 1);
    if (fail) throw new Error('later');
    return {};
  }

  /** What other code of the same request does while an atomic change waits for the store. */
  @Post('meanwhile')
  async meanwhile(@Session() session: Data) {
    const counting = session.atomic('count', (count) => Number(count ?? 0) + 1);
    session.set('count', 100);
    session.set('note', 'meanwhile');
    await Promise.all([counting, session.save()]);
    return session.data;
  }

  @Post('flash/:note')
  @Redirect('/notes', 303)
  flash(@Session() session: Data, @Param('note') note: string) {
    session.flash('note', note).flash('note', { from: note });
  }

  @Get('notes')
  notes(@Session() session: Data) {
    return session.takeFlash('note');
  }

  /** Answers in spite of an atomic change that failed, and does not wait for it. */
  @Post('in-spite')
  inSpite(@Session() session: Data) {
    session.set('note', 'in spite');
    session
      .atomic('count', () => {
        throw new RangeError('sold out');
      })
      .catch(() => undefined);
    return {};
  }

  @Post('stock')
  async stock(@Session() session: Data, @Body() _: unknown) {
    const left = await session.atomic('stock', (stock) => {
      if (Number(stock ?? 3) <= 0) throw new RangeError('sold out');
      return Number(stock ?? 3) - 1;
    });
    return { left };
  }
}

describeLaw('law 4: nothing is lost', { controllers: [Pages] }, (law) => {
  const visitorWith = async (...paths: string[]) => {
    const visitor = law.visitor();
    for (const path of paths) await visitor.post(path);
    return visitor;
  };

  /** Runs `slow` up to its save, then `fast` as a whole, then lets `slow` go on. */
  const overlapped = async (visitor: Awaited<ReturnType<typeof visitorWith>>, slow: string, fast: string) => {
    const save = gate(law.store, 'save');
    const slowAnswer = visitor.post(slow);
    await save.reached;
    expect((await visitor.post(fast)).status).toBe(201);
    save.open();
    expect((await slowAnswer).status).toBe(201);
    return (await visitor.get('/read')).json();
  };

  it('keeps both of two different values that overlapping requests set', async () => {
    const visitor = await visitorWith('/set/lang/en');
    expect(await overlapped(visitor, '/set/theme/dark', '/set/size/big')).toEqual({
      lang: 'en',
      theme: 'dark',
      size: 'big',
    });
  });

  it('keeps what two requests at once flash under one key, until it is taken, once', async () => {
    const visitor = await visitorWith('/set/lang/en');
    const save = gate(law.store, 'save');
    const slow = visitor.post('/flash/first');
    await save.reached;
    expect((await visitor.post('/flash/second')).headers.get('location')).toBe('/notes');
    save.open();
    expect((await slow).status).toBe(303);
    await visitor.post('/flash/third');

    const notes: unknown[] = (await visitor.get('/notes')).json();
    expect(notes.slice(-2)).toEqual(['third', { from: 'third' }]);
    const both = notes.slice(0, -2);
    expect(both).toHaveLength(4);
    expect(both).toEqual(expect.arrayContaining(['first', { from: 'first' }, 'second', { from: 'second' }]));
    expect((await visitor.get('/notes')).json()).toEqual([]);
    expect((await visitor.get('/read')).json()).toEqual({ lang: 'en' });
  });

  it('leaves what is flashed while another request takes for the next one', async () => {
    const visitor = await visitorWith('/set/lang/en', '/flash/first');
    const save = gate(law.store, 'save');
    const taking = visitor.get('/notes');
    await save.reached;
    await visitor.post('/flash/second');
    save.open();

    expect((await taking).json()).toEqual(['first', { from: 'first' }]);
    expect((await visitor.get('/notes')).json()).toEqual(['second', { from: 'second' }]);
  });

  it('keeps a value that another request removed removed', async () => {
    const visitor = await visitorWith('/set/lang/en', '/set/coupon/c1');
    expect(await overlapped(visitor, '/set/theme/dark', '/delete/coupon')).toEqual({
      lang: 'en',
      theme: 'dark',
    });
  });

  it('lets the later of two requests win that set the same value', async () => {
    const visitor = await visitorWith('/set/lang/en');
    expect(await overlapped(visitor, '/set/theme/dark', '/set/theme/light')).toEqual({
      lang: 'en',
      theme: 'dark',
    });
  });

  it('does not write back what a request only looked at', async () => {
    const visitor = await visitorWith('/cart/tea', '/set/lang/en');
    law.forget();
    await visitor.post('/look-at-cart');
    expect(law.commands).toEqual(['load']);
    expect(await overlapped(visitor, '/set/theme/dark', '/cart/milk')).toEqual({
      cart: { items: ['tea', 'milk'] },
      lang: 'en',
      theme: 'dark',
    });
  });

  it('replaces values whole, and never merges inside them', async () => {
    const visitor = await visitorWith('/cart/tea');
    expect(await overlapped(visitor, '/cart/milk', '/cart/rice')).toEqual({
      cart: { items: ['tea', 'milk'] },
    });
  });

  it('clears what is stored at the moment of the commit', async () => {
    const visitor = await visitorWith('/set/lang/en');
    expect(await overlapped(visitor, '/clear', '/set/theme/dark')).toEqual({});
  });

  it('loses none of twenty values that parallel requests set', async () => {
    const visitor = await visitorWith('/set/lang/en');
    const names = Array.from({ length: 20 }, (_, i) => `name${i}`);
    const answers = await Promise.all(names.map((name) => visitor.post(`/set/${name}/${name}`)));
    expect(answers.map(({ status }) => status)).toEqual(names.map(() => 201));
    const expected = Object.fromEntries(names.map((name) => [name, name]));
    expect((await visitor.get('/read')).json()).toEqual({ lang: 'en', ...expected });
  });

  it('counts each of twenty parallel increments', async () => {
    const visitor = await visitorWith('/set/lang/en');
    const answers = await Promise.all(Array.from({ length: 20 }, () => visitor.post('/increment')));
    const counts = answers.map((answer) => answer.json<{ count: number }>().count).sort((a, b) => a - b);
    expect(counts).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect((await visitor.get('/read')).json()).toEqual({ lang: 'en', count: 20 });
  });

  it('starts a session with an atomic value', async () => {
    const visitor = law.visitor();
    const answer = await visitor.post('/increment');
    expect([answer.json(), answer.setCookies.length]).toEqual([{ count: 1 }, 1]);
    expect((await visitor.get('/read')).json()).toEqual({ count: 1 });
  });

  it('applies an atomic change to what the same request has set', async () => {
    const visitor = await visitorWith('/set/count/7');
    await visitor.post('/both');
    expect((await visitor.get('/read')).json()).toEqual({ count: 11 });
  });

  it('writes an atomic change at once: a later error does not undo it', async () => {
    const visitor = await visitorWith('/set/count/7');
    expect((await visitor.post('/both?fail=1')).status).toBe(500);
    expect((await visitor.get('/read')).json()).toEqual({ count: 11 });
  });

  it('keeps what the same request sets while an atomic change is under way', async () => {
    const visitor = await visitorWith('/set/lang/en');
    await visitor.post('/increment');
    expect((await visitor.post('/meanwhile')).json()).toEqual({ lang: 'en', count: 100, note: 'meanwhile' });
    expect((await visitor.get('/read')).json()).toEqual({ lang: 'en', count: 100, note: 'meanwhile' });
  });

  it('saves the rest when an atomic change fails and the handler does not mind', async () => {
    const visitor = await visitorWith('/set/lang/en');
    expect((await visitor.post('/in-spite')).status).toBe(201);
    expect((await visitor.get('/read')).json()).toEqual({ lang: 'en', note: 'in spite' });
  });

  it('sells no more than there is, and an error in the change writes nothing', async () => {
    const visitor = await visitorWith('/set/lang/en');
    const answers = await Promise.all(Array.from({ length: 6 }, () => visitor.post('/stock')));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 201, 201, 500, 500, 500]);
    expect((await visitor.get('/read')).json()).toEqual({ lang: 'en', stock: 0 });
  });
});
