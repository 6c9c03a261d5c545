/** As much of better-sqlite3 as the guide's store uses; in an application, @types/better-sqlite3 says it all. */
declare module 'better-sqlite3' {
  namespace Database {
    interface Database {
      prepare(sql: string): Statement;
      exec(sql: string): this;
      transaction<Result>(work: () => Result): { immediate(): Result };
      close(): this;
    }
    interface Statement {
      run(...values: unknown[]): { changes: number };
      get(...values: unknown[]): unknown;
      all(...values: unknown[]): unknown[];
    }
  }
  const Database: new (file: string) => Database.Database;
  export = Database;
}
