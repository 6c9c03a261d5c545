import { Body, Controller, Delete, Get, HttpCode, Param, Post } from '@nestjs/common';
import { Session } from 'nest-session';
import type { Product } from '../catalogue/product.js';
import { ProductPipe } from '../catalogue/product.pipe.js';
import { Page, ThenShow } from '../pages/page.decorators.js';
import { CartService, type CartView } from './cart.service.js';
import { MOST, QuantityPipe } from './quantity.pipe.js';

@Controller('cart')
export class CartController {
  constructor(private readonly cart: CartService) {}

  @Get()
  @Page('cart')
  show(@Session() session: Session): CartView {
    return this.cart.view(session);
  }

  @Post()
  @HttpCode(200)
  @ThenShow('the page before')
  async add(
    @Session() session: Session,
    @Body('sku', ProductPipe) product: Product,
    @Body('qty', QuantityPipe) quantity: number,
  ): Promise<CartView> {
    const now = await this.cart.add(session, product, quantity);
    const notice =
      now < MOST
        ? `${product.name} is in your cart.`
        : `${MOST} × ${product.name}: that is the most we sell.`;
    session.flash('notice', notice);
    return this.cart.view(session);
  }

  @Delete(':sku')
  @ThenShow('/cart')
  async remove(@Session() session: Session, @Param('sku', ProductPipe) product: Product): Promise<CartView> {
    await this.cart.remove(session, product);
    session.flash('notice', `${product.name} is no longer in your cart.`);
    return this.cart.view(session);
  }

  /** The same for a form, which cannot send DELETE. */
  @Post(':sku/remove')
  @HttpCode(200)
  @ThenShow('/cart')
  removeByForm(@Session() session: Session, @Param('sku', ProductPipe) product: Product): Promise<CartView> {
    return this.remove(session, product);
  }
}
