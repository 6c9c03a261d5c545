/** Opens the store in a process of its own: see ../support/processes.ts. */
import { DataSource } from 'typeorm';

export async function open(load, { before = [], ...options }) {
  const { MySqlSessionEntity, SessionEntity, TypeOrmSessionStore } = await load('stores/typeorm/index.js');
  const entity = options.type === 'mariadb' ? MySqlSessionEntity : SessionEntity;
  const dataSource = await new DataSource({ ...options, entities: [entity] }).initialize();
  for (const statement of before) await dataSource.query(statement);
  const store = new TypeOrmSessionStore(dataSource, { entity });
  const close = async () => {
    await store.close(); // what it does behind a load is done then
    await dataSource.destroy();
  };
  return { store, close };
}
