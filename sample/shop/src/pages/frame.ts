import type { Session } from 'nest-session';
import { countOf } from '../cart/cart.service.js';
import type { Theme } from '../session-data.js';

/** What is around each page: theme, cart in the menu, and a notice, which is shown once. */
export interface Frame {
  readonly theme: Theme;
  readonly cartCount: number;
  readonly notice?: string;
}

export function frameOf(session: Session): Frame {
  return { ...quietFrameOf(session), notice: session.takeFlash<string>('notice') };
}

/** Without the notice: that waits for a page where it belongs. */
export function quietFrameOf(session: Session): Frame {
  return { theme: session.get('theme') ?? 'auto', cartCount: countOf(session.get('cart')) };
}
