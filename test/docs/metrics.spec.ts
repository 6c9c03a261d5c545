import { jest } from '@jest/globals';
import { Controller, Logger, Post } from '@nestjs/common';
import { metrics } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { Session, SessionStore } from 'nest-session';
import { Browser } from '../support/browser.js';
import { platforms, startApp } from '../support/http-app.js';
import { failing, once } from '../support/laws.js';

@Controller()
class Pages {
  @Post('write')
  write(@Session() session: Session<{ note: string }>) {
    session.set('note', 'a value');
  }

  @Post('flush')
  async flush(@Session() session: Session) {
    await session.flush();
  }
}

/** A point of a metric: its attributes, and how much or how often. */
type Point = Record<string, unknown> & { readonly total: number };

const exporter = new InMemoryMetricExporter(AggregationTemporality.DELTA);
const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
const provider = new MeterProvider({ readers: [reader] });
metrics.setGlobalMeterProvider(provider);
const { SessionMetrics } = await import('../../docs/examples/metrics.js'); // after the SDK has started

afterAll(() => provider.shutdown());
afterEach(() => jest.restoreAllMocks());

/** What was measured since the last call. */
async function measured(name: string): Promise<Point[]> {
  await reader.forceFlush();
  const found = exporter
    .getMetrics()
    .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics))
    .filter(({ descriptor }) => descriptor.name === name);
  return found.flatMap(({ dataPoints }) =>
    dataPoints.map(({ attributes, value }) => ({
      ...attributes,
      total: typeof value === 'number' ? value : value.count,
    })),
  );
}

describe.each(platforms)('the metrics of docs/events.md on %s', (platform) => {
  it('count what happens to sessions, and measure how long the store takes', async () => {
    jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    exporter.reset();
    const app = await startApp({ platform, controllers: [Pages], providers: [SessionMetrics] });
    const visitor = new Browser(app.url);
    for (const path of ['/write', '/write', '/write', '/flush']) await visitor.post(path);
    await visitor.post('/write', { cookie: 'sessionid=nonsense' });
    once(app.get<SessionStore>(SessionStore), 'create', failing);
    await new Browser(app.url).post('/write');
    await app.close();

    const events = await measured('session.events');
    expect(events).toHaveLength(4);
    expect(events).toEqual(
      expect.arrayContaining([
        { name: 'created', reason: '', total: 2 },
        { name: 'ended', reason: 'flushed', total: 1 },
        { name: 'rejected', reason: 'cookie', total: 1 },
        { name: 'storeFailed', reason: '', total: 1 },
      ]),
    );
    const commands = await measured('session.store.duration');
    expect(commands).toContainEqual({ operation: 'load', failed: false, total: 3 });
    expect(commands).toContainEqual({ operation: 'create', failed: true, total: 1 });
  });
});
