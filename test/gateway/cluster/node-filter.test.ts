import assert from 'node:assert/strict';
import { NodeFilter } from '../../../src/gateway/cluster/node-filter.ts';

/** An nft whose runs end when the test says so. */
class Slow {
  readonly texts: string[] = [];
  readonly #ends: ((error: Error | undefined) => void)[] = [];

  apply(_: string, text: string): Promise<void> {
    this.texts.push(text);
    return new Promise((resolve, reject) => {
      this.#ends.push((error) => (error === undefined ? resolve() : reject(error)));
    });
  }

  /** The oldest run ends; answers once what follows has begun. */
  async end(error?: Error): Promise<void> {
    this.#ends.shift()?.(error);
    for (let turns = 0; turns < 10; turns++) await Promise.resolve();
  }
}

function open() {
  const nft = new Slow();
  const said: string[] = [];
  const sets: { readonly had: string[]; fails: boolean } = { had: [], fails: false };
  const had = (names: readonly string[]) => {
    if (sets.fails) throw new Error('no such table');
    sets.had.push(names.join());
  };
  const filter = new NodeFilter({
    nft,
    sets: {
      replace: (_, contents) => had(contents.map(({ set }) => set)),
      change: (_, changes) => had(changes.map(({ map }) => map)),
    },
    say: (level, what) => said.push(`${level} ${what}`),
  });
  const text = (name: string) => (whole: boolean) => `${name}${whole ? ' whole' : ''}`;
  const want = (name: string) => filter.want(text(name));
  const wantNow = (name: string) => filter.wantNow([{ set: name, keys: [] }], text(name));
  const wantChanged = (names: readonly string[]) =>
    filter.wantChanged(
      names.map((map) => [{ map, gone: [], come: [] }]),
      text(names.join()),
    );
  return { nft, said, filter, want, wantNow, wantChanged, sets };
}

describe('The packet filter of a node that changes', () => {
  it('is whole once, and then what changed', async () => {
    const { nft, filter, want } = open();
    want('1');
    await nft.end();
    want('2');
    await nft.end();
    filter.mistrust();
    want('3');
    await nft.end();
    await filter.settled();
    assert.deepEqual(nft.texts, ['1 whole', '2', '3 whole']);
  });

  it('is never one that was wanted in between', async () => {
    const { nft, filter, want } = open();
    for (const name of ['1', '2', '3', '4']) want(name);
    assert.deepEqual(nft.texts, ['1 whole']);
    await nft.end();
    assert.deepEqual(nft.texts, ['1 whole', '4']);
    await nft.end();
    await filter.settled();
    assert.equal(nft.texts.length, 2);
  });

  it('comes back at once where somebody took it away', async () => {
    const { nft, said, want } = open();
    want('1');
    await nft.end();
    want('2');
    await nft.end(new Error('no such table'));
    assert.deepEqual(nft.texts, ['1 whole', '2', '2 whole']);
    await nft.end();
    assert.deepEqual(said, []);
  });

  it('is tried again where it is refused, with one complaint', async () => {
    const { nft, said, filter, want } = open();
    want('1');
    await nft.end(new Error('no device'));
    assert.equal(filter.complaint, 'no device');
    want('2');
    await nft.end(new Error('no device'));
    assert.deepEqual(said, ['error no device']);
    const start = performance.now();
    while (nft.texts.length < 3) {
      assert.ok(performance.now() - start < 5_000, 'waited 5 s');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await nft.end();
    assert.deepEqual(nft.texts, ['1 whole', '2 whole', '2 whole']);
    assert.equal(said.at(-1), 'notice packet filter of the cluster: applied again');
    await filter.close();
  });

  it('has what is wanted at once in its sets, without a run of nft', async () => {
    const { nft, filter, wantNow, wantChanged, sets } = open();
    const begun = filter.begin('begin');
    await nft.end();
    await begun;
    wantNow('1');
    wantNow('2');
    assert.deepEqual([nft.texts, sets.had], [['begin'], ['1', '2']]);
    wantChanged(['3', '4']);
    wantChanged([]);
    assert.deepEqual([nft.texts, sets.had], [['begin'], ['1', '2', '3', '4']]);
  });

  it('says it again behind a run of nft that may not know, or that could not be spared', async () => {
    const { nft, filter, want, wantNow, sets } = open();
    const begun = filter.begin('begin');
    await nft.end();
    await begun;
    want('1');
    wantNow('2');
    assert.deepEqual([nft.texts, sets.had], [['begin', '1'], ['2']]);
    await nft.end();
    assert.deepEqual(nft.texts, ['begin', '1', '2']);
    await nft.end();
    sets.fails = true;
    wantNow('3');
    assert.equal(nft.texts.at(-1), '3 whole');
    await nft.end();
  });

  it('is left alone once it is closed', async () => {
    const { nft, filter, want } = open();
    want('1');
    want('2');
    const closed = filter.close();
    await nft.end(new Error('no device'));
    await closed;
    assert.deepEqual(nft.texts, ['1 whole']);
  });
});
