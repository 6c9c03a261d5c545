import { createServer } from 'node:net';
import {
  type DynamicModule,
  Injectable,
  Logger,
  Module,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { MemorySessionStore, SessionModule, type SessionStoreOption } from 'nest-session';
import { ExpiringStore, FailingStore, FourMethodStore, RestlessStore, StuckStore } from './stores.js';

const secret = 'a secret for tests, of more than 32 characters';

const withStore = (store: SessionStoreOption): DynamicModule => SessionModule.forRoot({ store, secret });

@Module({ imports: [withStore(FourMethodStore)] })
export class FourMethods {}

@Module({ imports: [withStore(ExpiringStore)] })
export class Expiring {}

@Module({ imports: [withStore(FailingStore)] })
export class Failing {}

@Module({ imports: [withStore(StuckStore)] })
export class Stuck {}

@Module({ imports: [withStore(RestlessStore)] })
export class Restless {}

@Module({ imports: [] })
export class WithoutSessions {}

@Module({ imports: [SessionModule.forRoot({ store: MemorySessionStore, secret: 'short' })] })
export class Misconfigured {}

/** Prints what nobody asked for, listens, and holds a timer. */
@Injectable()
class Noise implements OnModuleInit {
  onModuleInit(): void {
    new Logger('Noise').log('a line of a logger');
    console.log('a line of the application');
    setInterval(() => console.log('tick'), 10_000);
    createServer().listen(0, '127.0.0.1');
  }
}

@Module({ imports: [withStore(MemorySessionStore)], providers: [Noise] })
export class Noisy {}

@Injectable()
class Unconnected implements OnModuleInit {
  async onModuleInit(): Promise<void> {
    const address = 'postgres://admin:hunter2@db.example/shop';
    new Logger('Database').error(`Unable to connect to ${address}.`, new Error('no such host').stack);
    throw new Error(`connect ECONNREFUSED ${address}`);
  }
}

@Module({ imports: [withStore(MemorySessionStore)], providers: [Unconnected] })
export class DatabaseDown {}

@Injectable()
class Hanging implements OnModuleInit {
  async onModuleInit(): Promise<void> {
    process.stderr.write('starting\n');
    await new Promise((resolve) => setTimeout(resolve, 3_600_000));
  }
}

@Module({ imports: [withStore(MemorySessionStore)], providers: [Hanging] })
export class NeverStarts {}

/** A socket whose errors nobody listens for. */
@Injectable()
class Exploding implements OnModuleInit {
  async onModuleInit(): Promise<void> {
    setImmediate(() => {
      throw new Error('socket to redis://me:hunter2@cache closed');
    });
    await new Promise((resolve) => setTimeout(resolve, 3_600_000));
  }
}

@Module({ imports: [withStore(MemorySessionStore)], providers: [Exploding] })
export class Explosive {}

@Injectable()
class Unwilling implements OnModuleDestroy {
  onModuleDestroy(): void {
    throw new Error('it will not close');
  }
}

@Module({ imports: [withStore(MemorySessionStore)], providers: [Unwilling] })
export class WillNotClose {}

@Module({})
class Configured {}

/** A module that is made by a function, for it needs a configuration. */
export async function configured(): Promise<DynamicModule> {
  return { module: Configured, imports: [withStore(MemorySessionStore)] };
}

export const notAModule = 7;
