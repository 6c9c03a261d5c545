import { HttpException } from '@nestjs/common';

/** The page that a form stands on, to be shown again with what went wrong. */
export interface FormPage {
  readonly template: string;
  readonly model: object;
}

/** What a visitor did wrong, in words that may be shown on a page. */
export class Mistake extends HttpException {
  /** Undefined: the mistake gets a page of its own. */
  form: FormPage | undefined;

  constructor(status: 400 | 401 | 404 | 409, message: string) {
    super({ statusCode: status, message }, status);
  }
}
