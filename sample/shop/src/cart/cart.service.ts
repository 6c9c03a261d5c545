import { Injectable } from '@nestjs/common';
import type { Session } from 'nest-session';
import { Catalogue } from '../catalogue/catalogue.js';
import type { Product } from '../catalogue/product.js';
import type { Cart } from '../session-data.js';
import { MOST } from './quantity.pipe.js';

export interface CartLine extends Pick<Product, 'sku' | 'name' | 'price' | 'colour'> {
  readonly qty: number;
  /** In cents, as all prices. */
  readonly total: number;
}

export interface CartView {
  readonly lines: readonly CartLine[];
  readonly count: number;
  readonly total: number;
}

/** The cart is one value of the session; `atomic`, because a visitor may add things in two tabs at once. */
@Injectable()
export class CartService {
  constructor(private readonly catalogue: Catalogue) {}

  /** @returns how many of it are in the cart now */
  async add(session: Session, { sku }: Product, quantity: number): Promise<number> {
    const cart = await session.atomic('cart', (cart = {}) => {
      return { ...cart, [sku]: Math.min(MOST, (cart[sku] ?? 0) + quantity) };
    });
    return cart?.[sku] ?? 0;
  }

  async remove(session: Session, { sku }: Product): Promise<void> {
    if (!session.has('cart')) return; // nobody gets a session by taking nothing out of nothing
    await session.atomic('cart', (cart) => without(cart, sku));
  }

  view(session: Session): CartView {
    const cart = session.get('cart') ?? {};
    const lines = this.catalogue.products // a tea that is sold no longer leaves the cart by itself
      .filter(({ sku }) => Object.hasOwn(cart, sku))
      .map((product) => lineOf(product, cart[product.sku] ?? 0));
    return { lines, count: countOf(cart), total: lines.reduce((sum, line) => sum + line.total, 0) };
  }
}

export function countOf(cart: Cart = {}): number {
  return Object.values(cart).reduce((sum, quantity) => sum + quantity, 0);
}

function lineOf({ sku, name, price, colour }: Product, qty: number): CartLine {
  return { sku, name, price, colour, qty, total: price * qty };
}

/** Undefined when nothing is left: then the value goes, and not an empty cart stays. */
function without(cart: Cart = {}, sku: string): Cart | undefined {
  const rest = Object.entries(cart).filter(([each]) => each !== sku);
  return rest.length > 0 ? Object.fromEntries(rest) : undefined;
}
