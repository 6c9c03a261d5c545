import { tracingChannel } from 'node:diagnostics_channel';
import { Injectable } from '@nestjs/common';
import { metrics } from '@opentelemetry/api';
import { SessionEvents } from 'nest-session';

const meter = metrics.getMeter('nest-session'); // the SDK has started before
const counter = meter.createCounter('session.events');
const duration = meter.createHistogram('session.store.duration', { unit: 'ms' });

/** A provider of your root module. */
@Injectable()
export class SessionMetrics {
  constructor(events: SessionEvents) {
    for (const name of ['created', 'authenticated', 'ended', 'rejected', 'ambiguous', 'storeFailed'] as const)
      events.on(name, (event) => counter.add(1, { name, reason: 'reason' in event ? event.reason : '' }));
  }
}

type Command = { operation: string; error?: unknown; begunAt?: number };
const commands = tracingChannel<'start', Command>('nest-session:store');
commands.start.subscribe((command) => void ((command as Command).begunAt = performance.now()));
commands.asyncEnd.subscribe((command) => {
  const { operation, error, begunAt = NaN } = command as Command;
  duration.record(performance.now() - begunAt, { operation, failed: error !== undefined });
});
