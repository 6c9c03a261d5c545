/** Opens the store in a process of its own: see ../support/processes.ts. */
import { createCluster } from 'redis';

export async function open(load, { url, clusterUrls }) {
  const { RedisSessionStore } = await load('stores/redis/index.js');
  if (url) {
    const store = new RedisSessionStore(url);
    return { store, close: () => store.close() };
  }
  const cluster = await createCluster({ rootNodes: clusterUrls.map((each) => ({ url: each })) }).connect();
  return { store: new RedisSessionStore(cluster), close: () => cluster.close() };
}
