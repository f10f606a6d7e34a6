"""The ports of the bench, one after the other, so that two benches on one machine can stay apart."""

import os

FIRST = int(os.environ.get("LIMPID_BENCH_PORT", "7391"))
(AGENT, SERVER, OTLP, NGINX, REDIS, POSTGRES, MAP, MAP_OTLP, MARIADB, BIND, BIND_STATISTICS, TLS) = range(FIRST, FIRST + 12)
