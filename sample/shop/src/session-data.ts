export const THEMES = ['auto', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

/** How many of each product, by sku. */
export type Cart = Readonly<Record<string, number>>;

/** What the shop keeps of a visitor: from here `session.get('views')` knows that it is a number. */
declare module 'nest-session' {
  interface SessionData {
    views: number;
    theme: Theme;
    cart: Cart;
    /** What an app is to show codes of; it becomes the user's when one of those came back. */
    newTotpSecret: string;
  }
}
