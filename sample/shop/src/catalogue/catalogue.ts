import { Injectable } from '@nestjs/common';
import type { Product } from './product.js';

/** What the shop sells. A real one would ask its database. */
@Injectable()
export class Catalogue {
  readonly products: readonly Product[] = [
    {
      sku: 'sencha',
      name: 'Sencha',
      note: 'Green, grassy, wide awake.',
      price: 1150,
      grams: 80,
      colour: '#b9c46a',
    },
    {
      sku: 'darjeeling',
      name: 'Darjeeling',
      note: 'First flush, flowers and muscat.',
      price: 1420,
      grams: 80,
      colour: '#d99a3d',
    },
    {
      sku: 'assam',
      name: 'Assam',
      note: 'Malt and strength. Takes milk.',
      price: 890,
      grams: 100,
      colour: '#9c4a1f',
    },
    {
      sku: 'oolong',
      name: 'Dong Ding',
      note: 'Oolong, roasted, endless infusions.',
      price: 1680,
      grams: 60,
      colour: '#c98a2b',
    },
    {
      sku: 'rooibos',
      name: 'Rooibos',
      note: 'Red, round, and never bitter.',
      price: 690,
      grams: 120,
      colour: '#b3391f',
    },
    {
      sku: 'hibiscus',
      name: 'Rosehip & hibiscus',
      note: 'Sour, bright, good with ice.',
      price: 640,
      grams: 100,
      colour: '#b11e4b',
    },
  ];

  find(sku: unknown): Product | undefined {
    return this.products.find((product) => product.sku === sku);
  }
}
