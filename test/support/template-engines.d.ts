/** As much as the tests use of engines that bring no types. */
declare module 'hbs' {
  export const __express: unknown;
}
declare module 'pug' {
  export const renderFile: unknown;
}
