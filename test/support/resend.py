"""
Sends the ESP packets of a capture again, as they were: resend.py CAPTURE DEVICE TIMES [SOURCE].

With a source those of that sender in UDP, without a checksum: links that leave it to the device have none yet.
"""
import sys

from scapy.config import conf

conf.verb = 0
from scapy.layers.inet import IP, UDP  # noqa: E402
from scapy.layers.ipsec import ESP  # noqa: E402, F401
from scapy.sendrecv import sendp  # noqa: E402
from scapy.utils import rdpcap  # noqa: E402

capture, device, times, *source = sys.argv[1:]
captured = [frame for frame in rdpcap(capture) if IP in frame]
if source:
    frames = []
    for frame in captured:
        if frame[IP].src != source[0] or UDP not in frame or frame[UDP].dport != 4500:
            continue
        if bytes(frame[UDP].payload)[:4] == bytes(4):
            continue
        frame[UDP].chksum = 0
        frames.append(frame)
else:
    frames = [frame for frame in captured if frame[IP].proto == 50]
for _ in range(int(times)):
    sendp(frames, iface=device)
print(len(frames))
