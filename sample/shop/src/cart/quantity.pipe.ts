import { Injectable, type PipeTransform } from '@nestjs/common';
import { Mistake } from '../mistake.js';

/** The most of one product that a cart holds. */
export const MOST = 99;

/** A whole number from 1 to 99; one, when nothing was said. Forms send text. */
@Injectable()
export class QuantityPipe implements PipeTransform<unknown, number> {
  transform(value: unknown = 1): number {
    const quantity = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
    if (typeof quantity === 'number' && Number.isInteger(quantity) && quantity >= 1 && quantity <= MOST) {
      return quantity;
    }
    throw new Mistake(400, `Please choose a quantity from 1 to ${MOST}.`);
  }
}
