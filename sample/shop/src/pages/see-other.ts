import { HttpException } from '@nestjs/common';

/** Thrown to send a browser on: Nest gives a returned value the status of its route, and `@Redirect()` asks nobody. */
export class SeeOther extends HttpException {
  constructor(readonly location: string) {
    super('See other', 303);
  }
}
