import assert from 'node:assert/strict';
import { viciSection } from '../../src/vici/message.ts';
import { sectionFromVici } from '../../src/vici/settings.ts';

describe('vici settings', () => {
  it('turns a message into the tree that swanctl.conf would give', () => {
    const section = sectionFromVici(
      viciSection([
        [
          'peer',
          viciSection([
            ['version', '2'],
            ['local_addrs', ['192.0.2.1', '192.0.2.3']],
            ['local', viciSection([['auth', 'psk']])],
          ]),
        ],
      ]),
    );
    const at = { file: 'vici', line: 0 };
    const peer = section.sections.get('peer');
    assert.deepEqual(peer?.entries.get('version'), { kind: 'value', value: { text: '2', at } });
    assert.deepEqual(peer?.entries.get('local_addrs'), {
      kind: 'list',
      items: [
        { text: '192.0.2.1', at },
        { text: '192.0.2.3', at },
      ],
      at,
    });
    assert.deepEqual([...(peer?.sections.keys() ?? [])], ['local']);
    assert.deepEqual(section.at, at);
  });
});
