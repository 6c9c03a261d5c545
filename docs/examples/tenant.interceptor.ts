import {
  type CallHandler,
  type ExecutionContext,
  ForbiddenException,
  Injectable,
  type NestInterceptor,
} from '@nestjs/common';
import type { WithSession } from 'nest-session';
import { type Observable, tap } from 'rxjs';

type TenantRequest = WithSession<{ readonly hostname: string }, { tenant: string }>;

/** { provide: APP_INTERCEPTOR, useClass: TenantInterceptor } in the root module */
@Injectable()
export class TenantInterceptor implements NestInterceptor {
  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const { session, hostname } = context.switchToHttp().getRequest<TenantRequest>();
    await session.load();
    if (!session.isEmpty && session.get('tenant') !== hostname)
      throw new ForbiddenException('This session is of another shop.');
    const mark = () => {
      if (!session.isEmpty) session.set('tenant', hostname);
    };
    return next.handle().pipe(tap({ next: mark, error: mark })); // a 4xx keeps what was set, and so its tenant too
  }
}
