/**
 * Whether what a capture is to follow exists: a connection or a child that is loaded, or one that is up
 * and was unloaded since.
 */
import type { ChildSa } from '../ipsec/child-sa.ts';
import type { Connection } from '../ipsec/connection.ts';
import type { CaptureSelection } from '../vici/capture-view.ts';

/** What is wrong with the selection; undefined when it names something, or nothing in particular. */
export function unknownSelection(
  { ike, child }: Pick<CaptureSelection, 'ike' | 'child'>,
  loaded: readonly Connection[],
  up: readonly Pick<ChildSa, 'connection' | 'name'>[],
): string | undefined {
  const known = [
    ...loaded.flatMap(({ name, children }) => children.map((one) => [name, one.name] as const)),
    ...up.map(({ connection, name }) => [connection, name] as const),
  ];
  const found = known.some(
    ([connection, name]) =>
      (ike === undefined || ike === connection) && (child === undefined || child === name),
  );
  if ((ike ?? child) === undefined || found) return undefined;
  const names = [...new Set(known.map((one) => one.join('/')))];
  const wanted = [ike && `connection ${ike}`, child && `child ${child}`].filter(Boolean);
  return `no ${wanted.join(' with ')}; known: ${names.join(', ') || 'none'}`;
}
