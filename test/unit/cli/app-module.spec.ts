import 'reflect-metadata';
import { type DynamicModule, Module } from '@nestjs/common';
import { rootModuleOf } from '../../../lib/cli/app-module.js';
import { CommandError, EXIT } from '../../../lib/cli/exit-codes.js';

@Module({ imports: [] })
class AppModule {}

@Module({ imports: [] })
class OtherModule {}

@Module({})
class EmptyModule {}

const dynamic: DynamicModule = { module: EmptyModule, imports: [AppModule] };
const bootstrap = (): never => {
  throw new Error('this would start the server');
};

const found = (namespace: object, name?: string) => rootModuleOf(namespace, 'dist/app.module.js', name);

/** As `import()` gives a file that TypeScript compiled to CommonJS. */
const commonJs = (exported: object) => {
  const whole = Object.defineProperty({ ...exported }, '__esModule', { value: true });
  return { ...exported, default: whole, 'module.exports': whole };
};

describe('the root module of a file', () => {
  it.each([
    ['the default export', { default: AppModule, OtherModule }],
    ['the only module', { AppModule, bootstrap, answer: 42 }],
    ['the only module of CommonJS', commonJs({ AppModule, bootstrap })],
    ['the default export of CommonJS', commonJs({ default: AppModule, OtherModule })],
    ['module.exports itself', { default: AppModule, 'module.exports': AppModule }],
    ['what the default function gives', { default: async () => AppModule }],
    ['a promise', { default: Promise.resolve(AppModule) }],
  ])('is %s', async (_, namespace) => {
    expect(await found(namespace)).toBe(AppModule);
  });

  it('is a dynamic module, exported or given by a function', async () => {
    expect(await found({ dynamic, bootstrap })).toBe(dynamic);
    expect(await found({ default: dynamic })).toBe(dynamic);
    expect(await found({ default: () => dynamic })).toBe(dynamic);
  });

  it('is what is named, a class without metadata too', async () => {
    const namespace = { default: bootstrap, AppModule, EmptyModule, make: () => dynamic };
    expect(await found(namespace, 'AppModule')).toBe(AppModule);
    expect(await found(namespace, 'EmptyModule')).toBe(EmptyModule);
    expect(await found(namespace, 'make')).toBe(dynamic);
  });

  it.each([
    ['nothing is exported', {}, undefined, /exports no module \(it exports nothing\)/],
    ['a function alone is exported, which may start the server', { bootstrap }, undefined, /are bootstrap\)/],
    ['there are several', { AppModule, OtherModule }, undefined, /\(AppModule, OtherModule\).*#AppModule\.$/],
    ['the name is unknown', { AppModule }, 'Shop', /has no export Shop \(its exports are AppModule\)/],
    ['the name is one of every object', { AppModule }, 'toString', /has no export toString/],
    ['it is no module', { answer: 42 }, 'answer', /exports answer, which is no module/],
    ['a function gives no module', { make: () => 42 }, 'make', /exports make, which is no module/],
  ])('is refused when %s', async (_, namespace, name, message) => {
    const error: unknown = await found(namespace, name).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CommandError);
    expect(error).toMatchObject({ exitCode: EXIT.failed, message: expect.stringMatching(message) });
  });
});
