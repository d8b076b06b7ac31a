/**
 * Segments as operators write and read them: `3`, `0-63`, `0-63,70`, `all`.
 */

/** The shortest text that names these segments. */
export function formatSegments(segments: Iterable<number>): string {
  const sorted = [...new Set(segments)].sort((a, b) => a - b);
  const ranges: [number, number][] = [];
  for (const segment of sorted) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === segment - 1) last[1] = segment;
    else ranges.push([segment, segment]);
  }
  return ranges
    .map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`))
    .join(',');
}

/** The segments that these words name, in order, of a cluster with so many; or what is wrong. */
export function parseSegments(words: readonly string[], count: number): readonly number[] | string {
  const found = new Set<number>();
  for (const word of words.flatMap((one) => one.split(','))) {
    const [, from = '', to = from] =
      word === 'all' ? ['', '0', `${count - 1}`] : (/^(\d{1,5})(?:-(\d{1,5}))?$/.exec(word) ?? []);
    if (from === '') return `${word}: write a segment, a range such as 0-63, or all`;
    const [first, last] = [Number(from), Number(to)];
    if (first > last) return `${word}: the range ends before it begins`;
    if (last >= count) return `segment ${last}: there are ${count}, 0 to ${count - 1}`;
    for (let segment = first; segment <= last; segment++) found.add(segment);
  }
  return [...found].sort((a, b) => a - b);
}
