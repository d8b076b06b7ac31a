"""Says what scapy reads in Ethernet frames, or makes frames, for tests that want a second opinion.

A line of input is a JSON list of hex frames, answered with their layers, [name, {field: value}] each, or the
word "make", answered with hex frames by name. Checksums are computed again: `sum` is whether they were right.
"""
import json
import sys

from scapy.config import conf

conf.verb = 0
from scapy.contrib.igmp import IGMP  # noqa: E402
from scapy.contrib.igmpv3 import IGMPv3  # noqa: E402
from scapy.contrib.pim import PIMv2Hdr  # noqa: E402
from scapy.layers.inet import IP, UDP  # noqa: E402
from scapy.layers.inet6 import (ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr,  # noqa: E402
                                ICMPv6NDOptSrcLLAddr, IPv6)
from scapy.layers.l2 import ARP, Ether  # noqa: E402
from scapy.packet import raw  # noqa: E402


def plain(value):
    if isinstance(value, (int, str)) or value is None:
        return value
    return value.hex() if isinstance(value, bytes) else str(value)


def sums_right(frame, octets):
    again = frame.copy()
    for layer in (IP, UDP, IGMP, IGMPv3, PIMv2Hdr):
        if again.haslayer(layer):
            del again[layer].chksum
    at = again
    while at:
        if "cksum" in at.fields:
            del at.cksum
        at = at.payload
    return raw(again) == octets


def read(octets):
    frame = Ether(octets)
    layers = []
    at = frame
    while at:
        layers.append([at.name, {name: plain(at.getfieldval(name)) for name in at.fields}])
        at = at.payload
    return {"layers": layers, "sum": sums_right(frame, octets)}


def make():
    host, peer = "2001:db8::9", "02:00:00:00:00:09"
    ether = Ether(src=peer, dst="ff:ff:ff:ff:ff:ff")
    nd = Ether(src=peer, dst="33:33:ff:00:00:64")
    group = IPv6(src=host, dst="ff02::1:ff00:64")
    return {
        "arpRequest": ether / ARP(op=1, hwsrc=peer, psrc="192.0.2.9", pdst="192.0.2.100"),
        "arpReply": ether / ARP(op=2, hwsrc=peer, psrc="192.0.2.100", hwdst=peer, pdst="192.0.2.9"),
        "solicitation": nd / group / ICMPv6ND_NS(tgt="2001:db8::64") / ICMPv6NDOptSrcLLAddr(lladdr=peer),
        "duplicate": nd / IPv6(src="::", dst="ff02::1:ff00:64") / ICMPv6ND_NS(tgt="2001:db8::64"),
        "advertisement": nd / IPv6(src=host, dst="ff02::1") / ICMPv6ND_NA(
            tgt="2001:db8::64", R=0, S=0, O=1) / ICMPv6NDOptDstLLAddr(lladdr=peer),
    }


for line in sys.stdin:
    asked = json.loads(line)
    if asked == "make":
        answer = {name: raw(frame).hex() for name, frame in make().items()}
    else:
        answer = [read(bytes.fromhex(one)) for one in asked]
    print(json.dumps(answer), flush=True)
