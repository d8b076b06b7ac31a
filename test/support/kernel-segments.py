"""Lets the kernel cut super-packets, for tests that want to know how it is done.

Run in a network namespace of its own (unshare --net). Reads a JSON list of {"vnet", "octets"} in hex,
each written to a TUN device as one packet that the kernel forwards to a link that segments nothing;
prints for each the list of packets that left there, in hex, their hop limits as they were.
"""
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys

TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x1, 0x1000, 0x4000
# Checksums, TCP over both families with ECN, UDP over both families.
OFFLOADS = 0x01 | 0x02 | 0x04 | 0x08 | 0x20 | 0x40
ETH_P_ALL = 3
LARGEST = 1 << 17


def run(*argv):
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def setting(name, value):
    with open("/proc/sys/net/" + name, "w") as file:
        file.write(value)


def open_tun():
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"super0", IFF_TUN | IFF_NO_PI | IFF_VNET_HDR))
    fcntl.ioctl(tun, TUNSETOFFLOAD, OFFLOADS)
    return tun


def make_network():
    """super0 = here = out0 - far0: what is routed to out0 is seen at far0, which takes nothing."""
    run("ip", "link", "add", "out0", "type", "veth", "peer", "far0")
    for device in ("out0", "far0"):
        setting(f"ipv6/conf/{device}/disable_ipv6", "0" if device == "out0" else "1")
        run("ip", "link", "set", device, "mtu", "65535", "arp", "off")
        run("ethtool", "-K", device, "tso", "off", "gso", "off", "gro", "off", "tx", "off",
            "tx-udp-segmentation", "off")
    setting("ipv6/conf/out0/addr_gen_mode", "1")
    setting("ipv6/conf/super0/addr_gen_mode", "1")
    for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        setting(name, "1")
    for device in ("all", "super0"):
        setting(f"ipv4/conf/{device}/rp_filter", "0")
    for device in ("super0", "far0", "out0"):
        run("ip", "link", "set", device, "up")
    run("ip", "route", "add", "10.2.0.0/16", "dev", "out0")
    run("ip", "-6", "route", "add", "2001:db8:2::/48", "dev", "out0")


def word_sum(octets):
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def hop_back(packet):
    """The kernel took one off the hop limit, and an IPv4 checksum was right or it had not forwarded."""
    packet = bytearray(packet)
    if packet[0] >> 4 == 6:
        packet[7] += 1
        return packet
    packet[8] += 1
    packet[10:12] = bytes(2)
    header = packet[: (packet[0] & 15) * 4]
    packet[10:12] = struct.pack("!H", ~word_sum(header) & 0xFFFF)
    return packet


def is_ours(packet):
    """Not what the kernel itself says to its neighbours."""
    return packet[12:14] == b"\x0a\x01" or packet[8:14] == bytes.fromhex("20010db80001")


def marker(number):
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 32, 0, 0, 64, 253, 0, bytes([10, 1, 0, 1]),
                         bytes([10, 2, 255, 255]))
    check = struct.pack("!H", ~word_sum(header) & 0xFFFF)
    return bytes(10) + header[:10] + check + header[12:] + struct.pack("!III", 0x6D61726B, number, 0)


def segments(tun, far, number, job):
    os.write(tun, bytes.fromhex(job["vnet"]) + bytes.fromhex(job["octets"]))
    os.write(tun, marker(number))
    seen = []
    while True:
        packet = far.recv(LARGEST)
        if packet[9] == 253 and packet[0] >> 4 == 4:
            assert struct.unpack("!II", packet[20:28]) == (0x6D61726B, number), "packets of another"
            return seen
        if is_ours(packet):
            seen.append(hop_back(packet).hex())


def main():
    tun = open_tun()
    make_network()
    far = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
    far.bind(("far0", ETH_P_ALL))
    far.setsockopt(socket.SOL_SOCKET, 33, 1 << 26)
    far.settimeout(5)
    answers = []
    for number, job in enumerate(json.load(sys.stdin)):
        try:
            answers.append(segments(tun, far, number, job))
        except OSError as error:
            answers.append({"error": str(error)})
    json.dump(answers, sys.stdout)


main()
