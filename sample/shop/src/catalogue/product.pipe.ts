import { Injectable, type PipeTransform } from '@nestjs/common';
import { Mistake } from '../mistake.js';
import { Catalogue } from './catalogue.js';
import type { Product } from './product.js';

/** Turns a sku into its product. */
@Injectable()
export class ProductPipe implements PipeTransform<unknown, Product> {
  constructor(private readonly catalogue: Catalogue) {}

  transform(sku: unknown): Product {
    const product = this.catalogue.find(sku);
    if (!product) throw new Mistake(404, 'We do not have that tea.');
    return product;
  }
}
