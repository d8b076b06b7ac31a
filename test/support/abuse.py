"""Sends what no honest peer sends, a bounded number of packets at a bounded rate.

    abuse.py VERB < options.json

Frames leave through an AF_PACKET socket, so that every octet from the IP header on is ours to choose
and every source address is ours to claim. Prints how many packets of each class left, as JSON.
"""
import ipaddress
import json
import os
import random
import socket
import struct
import sys
import time

MARKER = bytes(4)
UDP, ESP, ICMP, ICMPV6 = 17, 50, 1, 58


# Packets


def ones_complement(octets):
    if len(octets) % 2:
        octets += b"\0"
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packed(address):
    return ipaddress.ip_address(address).packed


def ip(source, destination, protocol, body, ttl=64, fragment=0):
    src, dst = packed(source), packed(destination)
    if len(src) == 16:
        return struct.pack("!IHBB", 6 << 28, len(body), protocol, ttl) + src + dst + body
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, fragment, ttl, protocol, 0)
    head += src + dst
    return head[:10] + struct.pack("!H", ones_complement(head)) + head[12:] + body


def pseudo(source, destination, protocol, body):
    src, dst = packed(source), packed(destination)
    if len(src) == 16:
        return src + dst + struct.pack("!II", len(body), protocol)
    return src + dst + struct.pack("!BBH", 0, protocol, len(body))


def udp(source, destination, sport, dport, payload):
    body = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload
    total = ones_complement(pseudo(source, destination, UDP, body) + body) or 0xFFFF
    return ip(source, destination, UDP, body[:6] + struct.pack("!H", total) + payload)


def icmp(source, destination, kind, code, rest, quoted, good=True):
    body = struct.pack("!BBHI", kind, code, 0, rest) + quoted
    front = pseudo(source, destination, ICMPV6, body) if ":" in source else b""
    total = ones_complement(front + body) if good else 0xBAD
    protocol = ICMPV6 if ":" in source else ICMP
    return ip(source, destination, protocol, body[:2] + struct.pack("!H", total) + body[4:])


# The wire


class Wire:
    """One device; `mac` is the next hop's, absent for a device without link addresses (TUN)."""

    def __init__(self, device, mac=None, rate=2000):
        self.raw = mac is None
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM if self.raw else socket.SOCK_RAW)
        self.device = device
        self.socket.bind((device, 0))
        if not self.raw:
            own = self.socket.getsockname()[4]
            self.head = bytes.fromhex(mac.replace(":", "")) + own
        self.rate = rate
        self.start = time.monotonic()
        self.count = 0
        self.sent = {}

    def send(self, name, packet):
        ethertype = 0x86DD if packet[:1] and packet[0] >> 4 == 6 else 0x0800
        try:
            if self.raw:
                self.socket.sendto(packet, (self.device, ethertype))
            else:
                self.socket.send(self.head + struct.pack("!H", ethertype) + packet)
        except OSError:
            name = f"{name} (refused)"
        self.sent[name] = self.sent.get(name, 0) + 1
        self.count += 1
        ahead = self.start + self.count / self.rate - time.monotonic()
        if ahead > 0.002:
            time.sleep(ahead)


# What a capture holds


class Seen:
    """The datagrams of a capture on an Ethernet: (source, sport, destination, dport, payload)."""

    def __init__(self, file, gateway):
        self.datagrams = list(datagrams(file))
        self.ike, self.esp, self.esp_out = [], [], []
        for source, sport, destination, dport, payload in self.datagrams:
            towards = destination == gateway
            if 500 in (sport, dport):
                if towards:
                    self.ike.append(payload)
            elif payload[:4] == MARKER:
                if towards:
                    self.ike.append(payload[4:])
            elif len(payload) > 8:
                (self.esp if towards else self.esp_out).append(payload)


def datagrams(file):
    with open(file, "rb") as opened:
        octets = opened.read()
    at = 24
    while at + 16 <= len(octets):
        length = struct.unpack_from("<I", octets, at + 8)[0]
        frame = octets[at + 16 : at + 16 + length]
        at += 16 + length
        if frame[12:14] == b"\x08\x00" and frame[23] == UDP:
            addresses, body = (frame[26:30], frame[30:34]), frame[14 + (frame[14] & 15) * 4 :]
        elif frame[12:14] == b"\x86\xdd" and frame[20] == UDP:
            addresses, body = (frame[22:38], frame[38:54]), frame[54:]
        else:
            continue
        sport, dport, size = struct.unpack_from("!HHH", body)
        source, destination = (str(ipaddress.ip_address(one)) for one in addresses)
        yield source, sport, destination, dport, body[8:size]


# The verbs. Each sends through the wire it is given.


def ike_ways(options):
    """The two ports from each of the source addresses, by turns."""
    ways = [
        (one["source"], one["destination"], port) for one in options["paths"] for port in (500, 4500)
    ]
    while True:
        yield from ways


def send_ike(wire, name, way, octets):
    source, destination, port = way
    wire.send(name, udp(source, destination, port, port, octets if port == 500 else MARKER + octets))


def random_datagrams(wire, options, dice):
    for path in options["paths"]:
        ends = path["source"], path["destination"]
        for _ in range(options["count"]):
            for port in (500, 4500):
                wire.send(f"random to {port}", udp(*ends, port, port, dice.randbytes(dice.randrange(1400))))
        for _ in range(options["count"] // 4):
            wire.send("random IKE to 4500", udp(*ends, 4500, 4500, MARKER + dice.randbytes(dice.randrange(28, 600))))
            wire.send("short IKE to 4500", udp(*ends, 4500, 4500, MARKER + dice.randbytes(dice.randrange(28))))
            wire.send("keepalive", udp(*ends, 4500, 4500, b"\xff"))
            wire.send("empty", udp(*ends, 500, 500, b""))
            wire.send("empty", udp(*ends, 4500, 4500, b""))
            wire.send("short", udp(*ends, 4500, 4500, dice.randbytes(dice.randrange(1, 4)).replace(b"\xff", b"\xfe")))


def ike_headers(wire, options, dice):
    """Every exchange type with every flag, with the SPIs of a living IKE SA and with others."""
    live = Seen(options["capture"], options["gateway"]).ike[-1][:16]
    ways = ike_ways(options)
    for exchange in range(256):
        for flags in range(0, 256, 32 if exchange not in (34, 35, 36, 37) else 1):
            spis = live if dice.random() < 0.5 else dice.randbytes(8) + bytes(8)
            version = dice.choice((0x20, 0x20, 0x20, 0x20, 0x10, 0x21, 0x30))
            body = dice.choice((b"", struct.pack("!BBH", 0, 0, 64) + dice.randbytes(60)))
            following = dice.choice((0, 33, 46, 46, 47, 200)) if body else 0
            message_id = dice.choice((0, 1, 2, 3, 0xFFFFFFFF))
            head = spis + struct.pack("!BBBBII", following, version, exchange, flags, message_id, 28 + len(body))
            send_ike(wire, "IKE header", next(ways), head + body)


def altered_ike(wire, options, dice):
    """Real messages as they were, cut at every length, and with octets changed."""
    messages = {octets[18:20] + octets[20:24]: octets for octets in Seen(options["capture"], options["gateway"]).ike}
    ways = ike_ways(options)
    for octets in messages.values():
        for _ in range(20):
            send_ike(wire, "repeated", next(ways), octets)
    for octets in messages.values():
        for length in range(len(octets)):
            send_ike(wire, "truncated", next(ways), octets[:length])
        for length in range(28, len(octets), 4):
            claimed = octets[:24] + struct.pack("!I", length) + octets[28:length]
            send_ike(wire, "truncated, length made right", next(ways), claimed)
        for _ in range(options["count"]):
            altered = bytearray(octets)
            for _ in range(dice.randrange(1, 6)):
                # Now and then anywhere; mostly behind the SPIs, so that the SA is found.
                altered[dice.randrange(0 if dice.random() < 0.2 else 16, len(altered))] = dice.randrange(256)
            send_ike(wire, "altered", next(ways), bytes(altered))


def esp(wire, options, dice):
    seen = Seen(options["capture"], options["gateway"])
    spi = seen.esp[-1][:4]
    top = max(struct.unpack("!I", packet[4:8])[0] for packet in seen.esp)
    for path in options["paths"]:
        ends = path["source"], path["destination"]

        def both(name, packet):
            wire.send(f"{name} in UDP", udp(*ends, 4500, 4500, packet))
            wire.send(f"{name} as protocol 50", ip(*ends, ESP, packet))

        for index in range(options["count"]):
            body = dice.randbytes(4 * dice.randrange(16, 300))
            both("wrong ICV", spi + struct.pack("!I", top + 100_000 + index) + body)
            both("unknown SPI", struct.pack("!I", dice.randrange(256, 1 << 32)) + dice.randbytes(8) + body)
            both("reserved SPI", struct.pack("!I", dice.randrange(1, 256)) + dice.randbytes(8) + body)
            both("short", spi + struct.pack("!I", top + 100_000 + index) + dice.randbytes(dice.randrange(20)))
            both("replayed", dice.choice(seen.esp))
            altered = bytearray(dice.choice(seen.esp))
            altered[dice.randrange(4, len(altered))] ^= 1 << dice.randrange(8)
            both("altered", bytes(altered))
            both("cut", dice.choice(seen.esp)[: dice.randrange(4, 60)])


def inner(wire, options, dice):
    """Packets to the far network that a host may well send, and that no host should."""
    for path in options["paths"]:
        source, destination = path["source"], path["destination"]
        for _ in range(options["count"]):
            body = dice.randbytes(dice.randrange(1300))
            wire.send("any protocol", ip(source, destination, dice.randrange(256), body))
            wire.send("cut upper header", ip(source, destination, dice.choice((6, 17, 1, 58)), dice.randbytes(dice.randrange(8))))
            wire.send("not ours to send", ip(other(source, dice), destination, UDP, body))
            if ":" in source:
                chain = bytes((dice.choice((0, 43, 44, 60, 51, 59)), dice.randrange(8))) + body
                wire.send("extension headers", ip(source, destination, dice.choice((43, 44, 60, 51)), chain))
            else:
                wire.send("fragment", ip(source, destination, UDP, body, fragment=dice.randrange(1 << 14)))


def device(wire, options, dice):
    """Straight into the TUN device, past every check of the kernel."""
    for path in options["paths"]:
        good = ip(path["source"], path["destination"], UDP, dice.randbytes(200))
        for _ in range(options["count"]):
            wire.send("random octets", dice.randbytes(dice.randrange(1, 1400)))
            wire.send("cut", good[: dice.randrange(1, len(good))])
            altered = bytearray(good)
            for _ in range(3):
                altered[dice.randrange(48)] = dice.randrange(256)
            wire.send("altered header", bytes(altered))
            wire.send("no hops left", ip(path["source"], path["destination"], UDP, bytes(40), ttl=0))
            wire.send("no policy", ip(other(path["source"], dice), path["destination"], UDP, bytes(40)))


def too_big(wire, options, dice):
    """Forged "fragmentation needed" and "packet too big"; with `live` they quote what we send."""
    spi_out = Seen(options["capture"], options["gateway"]).esp_out[-1][:4]
    for path in options["paths"]:
        six = ":" in path["source"]
        us, peer = path["destination"], path["source"]

        def error(name, mtu, quoted, good=True):
            wire.send(name, icmp(peer, us, 2 if six else 3, 0 if six else 4, mtu, quoted, good))

        if options["live"]:
            # Guesses first: they must not use up what is heard in a second.
            for _ in range(300):
                error("unknown SPI", 1000, udp(us, peer, 4500, 4500, dice.randbytes(4) + bytes(40)))
        for _ in range(options["count"]):
            for mtu in (0, 1, 68, 1279, 9000, 65535):
                if options["live"]:
                    error("live SPI", mtu, udp(us, peer, 4500, 4500, spi_out + bytes(40)))
                    error("live SPI", mtu, ip(us, peer, ESP, spi_out + bytes(40)))
                    continue
                spi = struct.pack("!I", dice.randrange(256, 1 << 32))
                error("unknown SPI", mtu, udp(us, peer, 4500, 4500, spi + bytes(40)))
                error("unknown SPI", mtu, ip(us, peer, ESP, spi + bytes(40)))
                error("of somebody else", mtu, ip(us, peer, 6, bytes(20)))
                error("cut", mtu, udp(us, peer, 4500, 4500, spi_out)[: dice.randrange(32)])
                error("random", mtu, dice.randbytes(dice.randrange(200)))
                error("wrong checksum", mtu, udp(us, peer, 4500, 4500, spi_out + bytes(40)), good=False)


# IKE_SA_INIT requests, complete and otherwise


def transform(last, kind, number, attributes=b""):
    return struct.pack("!BBHBBH", 0 if last else 3, 0, 8 + len(attributes), kind, 0, number) + attributes


def sa_payload(following, bits=256):
    body = (
        transform(False, 1, 12, struct.pack("!HH", 0x800E, bits))
        + transform(False, 2, 5)
        + transform(False, 3, 12)
        + transform(True, 4, 31)
    )
    return payload(following, struct.pack("!BBHBBBB", 0, 0, 8 + len(body), 1, 1, 0, 4) + body)


def payload(following, body, critical=0):
    return struct.pack("!BBH", following, critical, 4 + len(body)) + body


def ike_sa_init(dice, kind):
    first, payloads, version = 33, b"", 0x20
    key = payload(40, struct.pack("!HH", 31, 0) + dice.randbytes(32))
    nonce = payload(0, dice.randbytes(32))
    if kind == "complete":
        # As long as honest requests are: an answer is never larger than its request.
        payloads = sa_payload(34) + key + payload(43, nonce[4:]) + payload(0, dice.randbytes(64))
    elif kind == "no proposal":
        payloads = sa_payload(34, bits=64) + key + nonce
    elif kind == "wrong method":
        payloads = sa_payload(34) + payload(40, struct.pack("!HH", 19, 0) + dice.randbytes(64)) + nonce
    elif kind == "critical":
        first = 200
        payloads = payload(33, b"", 0x80) + sa_payload(34) + key + nonce
    elif kind == "header only":
        first = 0
    elif kind == "version 3":
        version = 0x30
    spi = dice.randbytes(8)
    head = spi + bytes(8) + struct.pack("!BBBBII", first, version, 34, 8, 0, 28 + len(payloads))
    return head + payloads


def flood(wire, options, dice):
    """Until the file `until` is there, or `count` are sent."""
    spoilt = ["no proposal", "wrong method", "critical", "header only", "version 3"]
    # Before any cookie is asked for, to each of the two ports: whichever is read first.
    kinds = [one for one in spoilt for _ in range(2)]
    for index in range(options["count"]):
        if index % 100 == 0 and os.path.exists(options["until"]):
            break
        if not kinds:
            kinds = ["complete"] * 8 + spoilt
        source = str(ipaddress.ip_address(options["network"]) + dice.randrange(1, 60_000))
        kind = kinds.pop(0)
        octets = ike_sa_init(dice, kind)
        destination = options["gateway"]
        if index % 2:
            wire.send(kind, udp(source, destination, 500, 500, octets))
        else:
            wire.send(kind, udp(source, destination, 4500, 4500, MARKER + octets))


def replies(options):
    """Of a capture: how many answers went to the claimed sources, and how many outgrew their request."""
    network = ipaddress.ip_network(f'{options["network"]}/16')
    asked, found = {}, {"requests": 0, "answers": 0, "cookies": 0, "larger": 0, "unasked": 0}
    for source, _, destination, _, octets in datagrams(options["capture"]):
        spi = octets[4:12] if octets[:4] == MARKER else octets[:8]
        if ipaddress.ip_address(source) in network:
            asked[spi] = len(octets)
            found["requests"] += 1
        elif ipaddress.ip_address(destination) in network:
            found["answers"] += 1
            ike = octets[4:] if octets[:4] == MARKER else octets
            found["cookies"] += ike[16] == 41 and ike[34:36] == b"\x40\x06"
            found["larger"] += len(octets) > asked.get(spi, 1 << 16)
            found["unasked"] += spi not in asked
    return found


def other(address, dice):
    """An address outside the networks of the tunnel."""
    return "2001:db8:66::1" if ":" in address else f"172.16.{dice.randrange(256)}.{dice.randrange(1, 255)}"


VERBS = {
    one.__name__.replace("_", "-"): one
    for one in (random_datagrams, ike_headers, altered_ike, esp, inner, device, too_big, flood)
}

asked_for = json.load(sys.stdin)
if sys.argv[1] == "replies":
    print(json.dumps(replies(asked_for)))
else:
    line = Wire(asked_for["device"], asked_for.get("mac"), asked_for["rate"])
    VERBS[sys.argv[1]](line, asked_for, random.Random(asked_for["seed"]))
    print(json.dumps(line.sent))
