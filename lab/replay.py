"""Sends datagrams of a capture again that were sent to ADDRESS, UDP 4500, before a moment: the last COUNT.

replay.py CAPTURE ADDRESS BEFORE COUNT [AHEAD]

BEFORE is in seconds since 1970. Only ESP is sent again: what begins with four zeros is IKE. UDP checksums
are zeroed, for a capture may hold what the machine had not computed yet. AHEAD is added to the sequence
number of each: what is sent is forged then.
"""

import socket
import struct
import sys
import time

ETHERNET = 14
UDP = 17

capture, address, before, count, *ahead = sys.argv[1:]
with open(capture, "rb") as file:
    octets = file.read()
packets = []
at = 24
while at + 16 <= len(octets):
    seconds, micros, length, _ = struct.unpack_from("<IIII", octets, at)
    packet = bytearray(octets[at + 16 + ETHERNET : at + 16 + length])
    at += 16 + length
    if len(packet) < 36 or packet[0] != 0x45 or packet[9] != UDP:
        continue
    if socket.inet_ntoa(bytes(packet[16:20])) != address or packet[22:24] != struct.pack("!H", 4500):
        continue
    if packet[28:32] == b"\0\0\0\0" or seconds + micros / 1e6 > float(before):
        continue
    packet[26:28] = b"\0\0"
    packets.append(bytes(packet))
packets = packets[-int(count) :]
if ahead:
    for index, packet in enumerate(packets):
        (number,) = struct.unpack_from("!I", packet, 32)
        forged = struct.pack("!I", (number + int(ahead[0])) & 0xFFFFFFFF)
        packets[index] = packet[:32] + forged + packet[36:]
with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
    for packet in packets:
        raw.sendto(packet, (address, 0))
        time.sleep(0.0005)
print(len(packets))
