export interface Product {
  readonly sku: string;
  readonly name: string;
  readonly note: string;
  /** In cents. */
  readonly price: number;
  readonly grams: number;
  /** Of the tea in the cup. */
  readonly colour: string;
}
