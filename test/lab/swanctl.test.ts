import assert from 'node:assert/strict';
import { events, parseRaw } from '../../lab/swanctl.ts';

describe('What swanctl --raw prints', () => {
  it('is sections, values and lists', () => {
    assert.deepEqual(parseRaw('{peer {uniqueid=1 local-ts=[10.1.0.0/16 10.3.0.0/16] empty=[]}}'), {
      peer: { uniqueid: '1', 'local-ts': ['10.1.0.0/16', '10.3.0.0/16'], empty: [] },
    });
  });

  it('holds selectors with a protocol and port', () => {
    assert.deepEqual(parseRaw('{remote-ts=[10.2.0.0/16[tcp/5201] 10.3.0.0/16] next=1}'), {
      'remote-ts': ['10.2.0.0/16[tcp/5201]', '10.3.0.0/16'],
      next: '1',
    });
  });

  it('holds values with spaces, before a key, a section and the end', () => {
    assert.deepEqual(parseRaw('{class=pre-shared key groups=[] local {id=a b} remote {id=c d}}'), {
      class: 'pre-shared key',
      groups: [],
      local: { id: 'a b' },
      remote: { id: 'c d' },
    });
  });

  it('holds empty values', () => {
    assert.deepEqual(parseRaw('{a= b=2 c {d=}}'), { a: '', b: '2', c: { d: '' } });
  });

  it('comes as one event a line', () => {
    const text = 'list-sa event {a {x=1}}\nlist-sa event {b {x=2}}\nlist-sas reply {}\n';
    assert.deepEqual(events(text, 'list-sa'), [{ a: { x: '1' } }, { b: { x: '2' } }]);
  });
});
