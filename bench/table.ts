/**
 * Rows of cells as lines of text.
 */
import type { Absent } from './stand.ts';
import { formatSpread, type Spread } from './statistics.ts';

/** Columns as wide as their widest cell. */
export function aligned(rows: readonly (readonly string[])[]): readonly string[] {
  const columns = Math.max(0, ...rows.map((cells) => cells.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map((cells) => cells[column]?.length ?? 0)),
  );
  return rows.map((cells) =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** A spread, or a dash where nothing was measured. */
export function spreadCell(known: Spread | undefined, digits: number): string {
  return known === undefined ? '-' : formatSpread(known, digits);
}

/** What could not be measured says why, one line each; nothing where all was. */
export function absentLines(absent: readonly Absent[]): readonly string[] {
  if (absent.length === 0) return [];
  const lines = absent.map(({ title, reason }) => {
    return `${title}: not available: ${reason.split('\n')[0] ?? ''}`;
  });
  return ['', ...lines];
}
