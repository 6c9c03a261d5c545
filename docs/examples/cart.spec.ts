import { Test, type TestingModule } from '@nestjs/testing';
import { MemorySessionStore, SessionModule, Sessions } from 'nest-session';
import { CartController, HasCart } from './cart.js';

describe('the cart', () => {
  let module: TestingModule;
  beforeAll(async () => {
    const secret = 'only for tests: 32 characters or more';
    module = await Test.createTestingModule({
      imports: [SessionModule.forRoot({ store: MemorySessionStore, secret })],
      controllers: [CartController],
    }).compile(); // no HTTP
  });
  afterAll(() => module.close());

  const newSession = () => module.get(Sessions).create<{ cart: string[] }>();

  it('takes tea', async () => {
    const session = await newSession();
    expect(module.get(CartController).add(session)).toEqual({ size: 1 });
    expect(session.get('cart')).toEqual(['tea']);
  });

  it('is guarded while it is empty', async () => {
    const session = await newSession();
    const context = { switchToHttp: () => ({ getRequest: () => ({ session }) }) };
    expect(await new HasCart().canActivate(context as never)).toBe(false);
    session.set('cart', ['tea']);
    expect(await new HasCart().canActivate(context as never)).toBe(true);
  });
});
