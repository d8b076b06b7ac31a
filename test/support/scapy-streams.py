"""Builds streams with scapy: the packets on the wire, and the super-packet a host has instead of them.

Reads a JSON list of streams (test/support/scapy-streams.ts has their shape), prints for each the packets
in hex, checksums scapy's, and the one with all of their octets, its checksum left to be made, behind
the virtio-net header that says so.
"""
import json
import math
import struct
import sys

from scapy.config import conf

conf.verb = 0
from scapy.layers.inet import IP, TCP, UDP, IPOption_NOP  # noqa: E402
from scapy.layers.inet6 import (  # noqa: E402
    IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN)
from scapy.packet import Raw, raw  # noqa: E402

FIN, PSH, CWR = 0x01, 0x08, 0x80
SUM_AT = {"tcp": 16, "udp": 6}
KIND = {("tcp", 4): 1, ("tcp", 6): 4, ("udp", 4): 5, ("udp", 6): 5}
EXTENSIONS = {
    "hop": lambda: IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))]),
    "destination": lambda: IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(12))]),
    "routing": lambda: IPv6ExtHdrRouting(type=0, segleft=1, addresses=["2001:db8:2::77"]),
}


def network(stream, index):
    if stream["family"] == 4:
        return IP(
            src="10.1.0.10", dst="10.2.0.10", tos=stream["class"], ttl=stream["hops"],
            id=(stream["identification"] + index * stream["step"]) & 0xFFFF, flags=stream["fragment"],
            options=[IPOption_NOP() for _ in range(stream["nops"])],
        )
    packet = IPv6(src="2001:db8:1::10", dst="2001:db8:2::10", tc=stream["class"],
                  fl=stream["label"], hlim=stream["hops"])
    for name in stream["extensions"]:
        packet = packet / EXTENSIONS[name]()
    return packet


def transport(stream, sequence, flags):
    if stream["protocol"] == "udp":
        return UDP(sport=stream["port"], dport=53, len=stream["length"])
    options = [(name, bytes.fromhex(value) if isinstance(value, str) else
                tuple(value) if isinstance(value, list) else value)
               for name, value in stream["options"]]
    return TCP(sport=stream["port"], dport=80, seq=sequence & 0xFFFFFFFF, ack=stream["ack"],
               flags=flags, window=stream["window"], urgptr=stream["urgent"],
               reserved=stream["reserved"], options=options)


def build(stream, index, flags, payload):
    sequence = stream["sequence"] + index * stream["segment"]
    return raw(network(stream, index) / transport(stream, sequence, flags) / Raw(payload))


def headers_of(stream, packet, payload):
    upper = 20 if stream["protocol"] == "tcp" else 8
    headers = len(packet) - len(payload)
    if stream["protocol"] == "tcp":
        options = (raw(transport(stream, 0, 0))[12] >> 4) * 4
        upper = options
    return headers, headers - upper


def word_sum(octets, total=0):
    octets += bytes(len(octets) % 2)
    total += sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def left_unsummed(packet, upper, at):
    """What scapy's checksum says of the pseudo-header takes the checksum's place."""
    check = struct.unpack("!H", packet[upper + at:upper + at + 2])[0]
    rest = packet[upper:upper + at] + bytes(2) + packet[upper + at + 2:]
    pseudo = word_sum(struct.pack("!HH", ~check & 0xFFFF, ~word_sum(rest) & 0xFFFF))
    return packet[:upper + at] + struct.pack("!H", pseudo) + packet[upper + at + 2:]


def without_sum(stream, payload):
    """A payload whose first segment has a checksum of zero, which UDP writes as all ones."""
    part = payload[:stream["segment"]]
    packet = build(stream, 0, stream["flags"] & ~(FIN | PSH), bytes(2) + part[2:])
    headers, upper = headers_of(stream, packet, part)
    at = upper + SUM_AT[stream["protocol"]]
    return packet[at:at + 2] + payload[2:]


def answer(stream):
    payload = bytes((at * 31 + stream["fill"]) & 0xFF for at in range(stream["octets"]))
    if stream["zero"]:
        payload = without_sum(stream, payload)
    size, flags = stream["segment"], stream["flags"]
    count = math.ceil(len(payload) / size)
    packets = []
    for index in range(count):
        own = flags if index == 0 else flags & ~CWR
        own = own if index == count - 1 else own & ~(FIN | PSH)
        packets.append(build(stream, index, own, payload[index * size:(index + 1) * size]))
    whole = build(stream, 0, flags, payload)
    headers, upper = headers_of(stream, whole, payload)
    at = SUM_AT[stream["protocol"]]
    kind = KIND[stream["protocol"], stream["family"]]
    ecn = 0x80 if flags & CWR and stream["protocol"] == "tcp" else 0
    vnet = struct.pack("<BBHHHH", 1, kind | ecn, headers, size, upper, at)
    return {"packets": [packet.hex() for packet in packets],
            "whole": left_unsummed(whole, upper, at).hex(), "vnet": vnet.hex()}


json.dump([answer(stream) for stream in json.load(sys.stdin)], sys.stdout)
