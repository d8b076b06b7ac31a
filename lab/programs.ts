/**
 * The lab's own programs in C, `lab/datagrams/NAME.c`, compiled when they are needed first.
 */
import { mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { run } from './command.ts';

const compiled = new Map<string, Promise<string>>();

/** Compiles a program unless that is done; answers its path. */
export function compiledProgram(name: 'datagrams' | 'echo' | 'stream-end'): Promise<string> {
  const known = compiled.get(name) ?? compile(name);
  compiled.set(name, known);
  return known;
}

async function compile(name: string): Promise<string> {
  const source = `lab/datagrams/${name}.c`;
  const program = resolve('build/lab', name);
  const made = statSync(program, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (made > statSync(source).mtimeMs) return program;
  mkdirSync(dirname(program), { recursive: true });
  // Another lab may do the same, or run the one there is.
  const fresh = `${program}.${process.pid}`;
  await run(['cc', '-O2', '-Wall', '-Wextra', '-o', fresh, source]);
  renameSync(fresh, program);
  return program;
}
