{
  "targets": [
    {
      "target_name": "tsgw",
      "sources": [ "addon.c" ],
      "cflags": [ "-O3", "-std=gnu11", "-Wall", "-Wextra", "-Werror=format-security", "-fstack-protector-strong" ],
      "defines": [ "NAPI_VERSION=8", "_GNU_SOURCE" ]
    }
  ]
}
