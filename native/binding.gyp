{
  "targets": [
    {
      "target_name": "tsgw",
      "sources": [
        "addon.c",
        "arguments.c",
        "batch.c",
        "checksum.c",
        "context.c",
        "evp.c",
        "handles.c",
        "ipsec-mb.c",
        "ipsec-mb-jobs.c",
        "ipsec-mb-seal.c",
        "mac.c",
        "netlink.c",
        "packet.c",
        "path.c",
        "receive.c",
        "ring.c",
        "seal.c",
        "send.c",
        "socket.c",
        "schedule.c",
        "steer.c",
        "tun.c",
        "watch.c"
      ],
      "cflags": [
        "-O3",
        "-std=gnu11",
        "-Wall",
        "-Wextra",
        "-Werror=format-security",
        "-fvisibility=hidden",
        "-fstack-protector-strong"
      ],
      "defines": [ "NAPI_VERSION=8", "_GNU_SOURCE" ]
    }
  ]
}
