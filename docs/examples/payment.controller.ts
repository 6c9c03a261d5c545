import { randomUUID } from 'node:crypto';
import { Body, Controller, ForbiddenException, Get, Post, Query, Redirect } from '@nestjs/common';
import { CsrfExempt, Session } from 'nest-session';

interface Checkout {
  cart: string[];
  payment: string;
  paid: string;
}

@Controller('payment')
export class PaymentController {
  @Post('begin')
  @Redirect()
  begin(@Session() session: Session<Checkout>) {
    const payment = randomUUID();
    session.set('payment', payment);
    return { statusCode: 303, url: `https://pay.example/pay?${new URLSearchParams({ payment }).toString()}` };
  }

  /** The provider's page posts this: no Lax cookie comes with it, and so the session is not asked for. */
  @Post('callback')
  @CsrfExempt()
  @Redirect()
  callback(@Body() { payment }: { payment: string }) {
    return { statusCode: 303, url: `/payment/done?${new URLSearchParams({ payment }).toString()}` };
  }

  /** A request of our own site: the cookie is there again. Whether it is paid, ask the provider, not the browser. */
  @Get('done')
  done(@Session() session: Session<Checkout>, @Query('payment') payment: string) {
    if (session.get('paid') === payment) return { paid: payment }; // the page was loaded again
    if (session.get('payment') !== payment) throw new ForbiddenException('This payment did not begin here.');
    session.delete('payment');
    session.delete('cart');
    session.set('paid', payment);
    return { paid: payment };
  }
}
