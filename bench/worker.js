/**
 * Measures the applications of one platform over one kind of store, alternately, and prints JSON. `rounds`: for each route
 * and application the CPU time per request in µs, one number a round. `traffic`: what a request says to the store's server.
 *
 * node bench/worker.js <fastify|express> <memory|redis|postgres> <rounds> <requests per measurement>
 */
import assert from 'node:assert/strict';
import { traffic } from './traffic.js';
import { applicationsOn } from './applications.js';
import { Connection } from './connection.js';
import { stores } from './stores.js';

const ROUTES = ['unused', 'read', 'write'];
const CONNECTIONS = 10;
const WARM_UP_REQUESTS = process.argv[3] === 'memory' ? 10_000 : 4_000;

const [platform, storeName, ...numbers] = process.argv.slice(2);
const [rounds, requests] = numbers.map(Number);

const store = await stores[storeName]();
const running = [];
let output;
try {
  output = JSON.stringify(await measure());
} finally {
  for (const { close } of running) await close();
  await store.close();
}
process.stdout.write(output, () => process.exit()); // the peers' stores keep timers

async function measure() {
  const clients = {};
  for (const [name, start] of Object.entries(applicationsOn(platform, store)))
    clients[name] = await connect(name, await run(start));

  for (const { connections, requestsOf } of Object.values(clients))
    for (const route of ROUTES) await serve(connections, requestsOf[route], WARM_UP_REQUESTS);

  const times = eachRoute(() => Object.fromEntries(Object.keys(clients).map((name) => [name, []])));
  for (let round = 0; round < rounds; round++) {
    for (const route of shuffled(ROUTES)) {
      for (const name of shuffled(Object.keys(clients))) {
        const { connections, requestsOf } = clients[name];
        times[route][name].push(await cpuPerRequest(connections, requestsOf[route]));
      }
    }
  }

  const said = eachRoute(() => ({}));
  for (const route of ROUTES)
    for (const name of Object.keys(clients))
      said[route][name] = await trafficPerRequest(clients[name], route);
  return { rounds: times, traffic: said };
}

async function run(start) {
  const application = await start();
  running.push(application);
  return application.server;
}

function eachRoute(make) {
  return Object.fromEntries(ROUTES.map((route) => [route, make()]));
}

/** Opens the connections, each with a session of its own, and makes sure that the application does what it is measured for. */
async function connect(name, server) {
  const hasSession = !['none', 'baseline'].includes(name);
  const connections = Array.from({ length: CONNECTIONS }, () => new Connection(server));
  const cookies = [];
  for (const connection of connections) {
    const cookie = /\r\nset-cookie: ([^;]+)/i.exec(await connection.send(requestFor('seed')))?.[1];
    assert.equal(cookie !== undefined, hasSession, name);
    cookies.push(cookie ?? `sessionid=${'x'.repeat(87)}`);
  }
  const requestsOf = {};
  for (const route of ROUTES) requestsOf[route] = cookies.map((cookie) => requestFor(route, cookie));
  const written = hasSession ? 2 : 1;
  assert.match(await connections[0].send(requestsOf.read[0]), /200 OK[^]*\{"views":1,"items":4\}$/, name);
  assert.match(await connections[0].send(requestsOf.write[0]), /200 OK[^]*"views":\d/, name);
  const read = await connections[0].send(requestsOf.read[0]);
  assert.ok(read.endsWith(`{"views":${written},"items":4}`), name);
  const unused = await connections[0].send(requestsOf.unused[0]);
  assert.doesNotMatch(read + unused, /set-cookie/i, name);
  return { connections, requestsOf };
}

function requestFor(route, cookie) {
  const headers = [`GET /${route} HTTP/1.1`, 'Host: shop.example', 'Accept: application/json'];
  if (cookie) headers.push(`Cookie: theme=dark; ${cookie}`);
  return Buffer.from(`${headers.join('\r\n')}\r\n\r\n`);
}

async function cpuPerRequest(connections, requestBytes) {
  const before = process.cpuUsage();
  await serve(connections, requestBytes, requests);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / requests;
}

async function trafficPerRequest({ connections, requestsOf }, route) {
  const count = 500;
  const before = traffic();
  await serve(connections, requestsOf[route], count);
  const after = traffic();
  return {
    commands: (after.commands - before.commands) / count,
    bytes: (after.bytes - before.bytes) / count,
  };
}

/** One request on each connection per turn of the event loop, as a busy server meets them. */
async function serve(connections, requestBytes, count) {
  for (let done = 0; done < count; done += connections.length) {
    await Promise.all(connections.map((connection, index) => connection.send(requestBytes[index])));
    await new Promise(setImmediate);
  }
}

function shuffled(list) {
  return list
    .map((value) => ({ value, order: Math.random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ value }) => value);
}
