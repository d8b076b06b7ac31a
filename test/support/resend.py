"""Sends the ESP packets of a capture again, as they were: resend.py CAPTURE DEVICE TIMES."""
import sys

from scapy.config import conf

conf.verb = 0
from scapy.layers.inet import IP  # noqa: E402
from scapy.layers.ipsec import ESP  # noqa: E402, F401
from scapy.sendrecv import sendp  # noqa: E402
from scapy.utils import rdpcap  # noqa: E402

capture, device, times = sys.argv[1:]
frames = [frame for frame in rdpcap(capture) if IP in frame and frame[IP].proto == 50]
for _ in range(int(times)):
    sendp(frames, iface=device)
print(len(frames))
