import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Injectable,
  Post,
  UseGuards,
} from '@nestjs/common';
import { Session, type WithSession } from 'nest-session';

interface Shop {
  cart: string[];
}

@Injectable()
export class HasCart implements CanActivate {
  async canActivate(context: ExecutionContext): Promise<boolean> {
    const { session } = context.switchToHttp().getRequest<WithSession<object, Shop>>();
    await session.load();
    return session.has('cart');
  }
}

@Controller('cart')
export class CartController {
  @Post()
  add(@Session() session: Session<Shop>) {
    session.setDefault('cart', []).push('tea');
    return { size: session.get('cart')?.length };
  }

  @Post('order')
  @UseGuards(HasCart)
  order(@Session() session: Session<Shop>) {
    return { ordered: session.pop('cart') };
  }
}
