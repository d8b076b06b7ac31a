import assert from 'node:assert/strict';
import { ExchangeType, type IkeHeader, ikeSpi, messageId } from '../../src/ike/message/message.ts';
import { MessageWindow } from '../../src/ike/message-window.ts';
import { DEFAULT_IKE_SETTINGS } from '../../src/ike/settings.ts';
import { instant } from '../../src/wire/instant.ts';

type Window = MessageWindow<string, string>;

/** Sends a request for `purpose` at `milliseconds`. */
function send(window: Window, purpose: string, milliseconds = 0): void {
  const header: IkeHeader = {
    initiatorSpi: ikeSpi(new Uint8Array(8).fill(1)),
    responderSpi: ikeSpi(new Uint8Array(8).fill(2)),
    majorVersion: 2,
    minorVersion: 0,
    exchangeType: ExchangeType.INFORMATIONAL,
    fromInitiator: true,
    higherVersion: false,
    isResponse: false,
    messageId: window.nextId,
  };
  const request = { purpose, header, payloads: [], datagrams: [Uint8Array.of(1)] };
  window.sent(request, DEFAULT_IKE_SETTINGS, instant(milliseconds));
}

/** Takes the response with this id. */
function take(window: Window, id: number, exchangeType: number = ExchangeType.INFORMATIONAL) {
  return window.take({ messageId: messageId(id), exchangeType });
}

describe('Our requests in the message window (RFC 7296 §2.2, §2.3)', () => {
  let window: Window;
  beforeEach(() => {
    window = new MessageWindow();
  });

  it('have ids from 0 up, each once', () => {
    const ids = ['first', 'second', 'third'].map((purpose) => {
      send(window, purpose);
      const { header } = window.inFlight ?? assert.fail();
      assert.equal(window.take(header), purpose);
      return header.messageId;
    });
    assert.deepEqual(ids, [0, 1, 2]);
  });

  it('go out one at a time, in the order of the wishes', () => {
    for (const wish of ['a', 'b', 'c']) window.add(wish);
    assert.equal(window.shift(), 'a');
    send(window, 'a');
    assert.equal(window.shift(), undefined, 'the window is taken');
    assert.deepEqual(window.waiting, ['b', 'c']);
    take(window, 0);
    assert.equal(window.shift(), 'b');
    assert.equal(window.shift(), 'c', 'b was not sent after all');
    assert.equal(window.shift(), undefined);
  });

  it('are ended by the response of their id and exchange alone, and once', () => {
    send(window, 'first');
    take(window, 0);
    send(window, 'second');
    assert.equal(take(window, 1, ExchangeType.CREATE_CHILD_SA), undefined);
    for (const id of [0, 2, 7]) assert.equal(take(window, id), undefined);
    assert.equal(window.inFlight?.purpose, 'second');
    assert.equal(take(window, 1), 'second');
    assert.equal(take(window, 1), undefined);
  });

  it('have a deadline while they are out', () => {
    assert.equal(window.deadline, undefined);
    send(window, 'first', 1000);
    assert.equal(window.deadline, 5000);
    take(window, 0);
    assert.equal(window.deadline, undefined);
  });

  it('leave what waits to whoever takes over', () => {
    send(window, 'out');
    for (const wish of ['a', 'b']) window.add(wish);
    assert.deepEqual(window.drain(), ['a', 'b']);
    assert.deepEqual(window.waiting, []);
    assert.equal(window.inFlight?.purpose, 'out');
  });

  it('are all forgotten at the end', () => {
    send(window, 'out');
    window.add('waiting');
    window.clear();
    assert.deepEqual([window.inFlight, window.waiting], [undefined, []]);
    assert.equal(window.nextId, 1, 'an id is never used for two requests');
  });

  it('begin again at 0 where IKE_SA_INIT does (§2.6)', () => {
    send(window, 'init');
    window.add('waiting');
    window.restart();
    assert.deepEqual([window.inFlight, window.nextId, window.waiting], [undefined, 0, ['waiting']]);
  });
});

describe("The peer's requests in the message window (RFC 7296 §2.1, §2.3)", () => {
  const RESPONSE = [Uint8Array.of(1)];
  let window: Window;
  beforeEach(() => {
    window = new MessageWindow();
  });

  it('are new in the order of their ids', () => {
    assert.deepEqual([window.place(0), window.place(1)], ['new', 'outside']);
    window.answered(0, RESPONSE);
    assert.deepEqual([window.place(1), window.place(2)], ['new', 'outside']);
  });

  it('are repeated until the next one is answered', () => {
    window.answered(0, RESPONSE);
    assert.equal(window.place(0), 'repeated');
    window.answered(1, RESPONSE);
    assert.deepEqual([window.place(0), window.place(1)], ['outside', 'repeated']);
  });

  it('are answered again with the last response, which none has before the first', () => {
    assert.equal(new MessageWindow<string, string>().lastResponse, undefined);
    window.answered(0, RESPONSE);
    window.answered(1, [Uint8Array.of(2), Uint8Array.of(3)]);
    assert.deepEqual(window.lastResponse?.datagrams, [Uint8Array.of(2), Uint8Array.of(3)]);
    assert.deepEqual([window.lastResponse?.messageId, window.lastResponse?.repeats], [1, 0]);
  });

  it('are new until they are answered: a handler that is not done has said nothing', () => {
    assert.deepEqual([window.place(0), window.place(0)], ['new', 'new']);
  });

  it('have ids of their own, whatever we asked', () => {
    send(window, 'ours');
    take(window, 0);
    send(window, 'ours');
    assert.equal(window.place(0), 'new');
    window.answered(0, RESPONSE);
    assert.equal(window.inFlight?.header.messageId, 1);
  });
});
