import { Column, CreateDateColumn, Entity, PrimaryColumn } from 'typeorm';

/** Somebody with an account. ('user' is a reserved word in PostgreSQL.) */
@Entity('shop_users')
export class User {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id!: string;

  /** In lower case. */
  @Column({ type: 'varchar', length: 254, unique: true })
  email!: string;

  @Column({ type: 'varchar', length: 100 })
  name!: string;

  @Column({ type: 'varchar', length: 255 })
  passwordHash!: string;

  /** Of the app that shows the codes, in base32; null: the password is enough. A real shop would encrypt it. */
  @Column({ type: 'varchar', length: 64, nullable: true })
  totpSecret!: string | null;

  /** The half minute of the last code that was used: no code is good twice (RFC 6238, 5.2). */
  @Column({ type: 'int', default: 0 })
  lastCodeStep!: number;

  @CreateDateColumn()
  createdAt!: Date;
}
