import { HttpException } from '@nestjs/common';

/** What a visitor did wrong, in words that may be shown on a page. */
export class Mistake extends HttpException {
  constructor(status: 400 | 404, message: string) {
    super({ statusCode: status, message }, status);
  }
}
