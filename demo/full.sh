# What the full shop has beside the small one. Sourced by demo/run.

build_full() {
    build_small
    if [ shipping/Shipping.java -nt "$cache/bin/shipping.jar" ]; then
        javac -d "$work/classes" shipping/Shipping.java
        jar --create --file "$cache/bin/shipping.jar" --main-class Shipping -C "$work/classes" .
    fi
    [ -e "$cache/mariadb.tar" ] || initialize_mariadb
}

start_full() {
    in_background prepare_mariadb
    prepare_postgres
    start_carrier
    start_resolver
    wait_for_background
    start_mariadb
    start_redis
    start_postgres
    start_receipts
    start_named
    start_services
    ready shipping 18085
    ready reviews 18086
    start web ./by-names "$cache/bin/web" -names
    ready web 18081
    start cron ./by-names tidy/cron
    start_nginx
}

# The services that find others by their names. Java looks a name up for every call, as Node does.
start_named() {
    start shipping ./by-names java -Xmx64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dhttp.keepAlive=false \
        -Dsun.net.inetaddr.ttl=0 -jar "$cache/bin/shipping.jar"
    start reviews ./by-names env NODE_PATH=/usr/share/nodejs DATABASE_HOST=mariadb node reviews/reviews.js
}

# The database's first files take seconds to make: they are made once.
initialize_mariadb() {
    install -d -o mysql "$work/mariadb-new"
    mariadb-install-db --no-defaults --user=mysql --datadir="$work/mariadb-new" --auth-root-authentication-method=normal \
        --skip-test-db --innodb-log-file-size=8M >"$work/mariadb-install.log" 2>&1
    tar -C "$work/mariadb-new" -czf "$cache/mariadb.tar.new" .
    mv "$cache/mariadb.tar.new" "$cache/mariadb.tar"
    rm -rf "$work/mariadb-new"
}

prepare_mariadb() {
    install -d -o mysql "$work/mariadb"
    tar -C "$work/mariadb" -xzf "$cache/mariadb.tar"
}

# It is to die with this script even while it is stopped by a switch, hence KILL.
start_mariadb() {
    start mariadb setpriv --reuid=mysql --regid=mysql --clear-groups --pdeathsig KILL mariadbd --no-defaults \
        --datadir="$work/mariadb" --socket="$work/mariadb/mariadb.sock" --port=13306 --bind-address=127.0.0.1 --skip-name-resolve \
        --innodb-buffer-pool-size=16M --innodb-log-file-size=8M --innodb-flush-log-at-trx-commit=0 --performance-schema=OFF
    ready mariadb 13306
    mariadb --no-defaults --socket="$work/mariadb/mariadb.sock" -u root <reviews/schema.sql
}

start_resolver() {
    install -d -o unbound "$work/resolver"
    fill resolver/unbound.conf "$work/resolver/unbound.conf"
    # It could change its user itself, but then it would outlive this script: the kernel forgets whose end it is to follow.
    start resolver setpriv --reuid=unbound --regid=unbound --clear-groups --inh-caps +net_bind_service \
        --ambient-caps +net_bind_service --pdeathsig TERM unbound -d -c "$work/resolver/unbound.conf"
    ready resolver 53
}

start_receipts() {
    start receipts receipts/start "$work/receipts"
    local tries=0
    until [ -S "$work/receipts/receipts.sock" ]; do
        tries=$((tries + 1))
        if [ $tries -gt 200 ]; then
            echo "demo: receipts does not listen; its last words:" >&2
            tail -n 5 "$work/receipts.log" >&2
            exit 1
        fi
        sleep 0.05
    done
}

# The world outside of the shop: a network namespace that ends with the carrier, and its two ends of a cable with it.
start_carrier() {
    carrier_address=198.51.100.2
    start carrier unshare --net /usr/bin/python3 carrier/carrier.py
    local pid
    pid=$(cat "$work/carrier.pid")
    for _ in $(seq 100); do
        [ "$(readlink "/proc/$pid/ns/net")" = "$(readlink /proc/self/ns/net)" ] || break
        sleep 0.02
    done
    ip link add limpid-demo type veth peer name outside netns "$pid"
    ip addr add 198.51.100.1/30 dev limpid-demo
    ip link set limpid-demo up
    nsenter -t "$pid" -n sh -c "ip addr add $carrier_address/30 dev outside; ip link set outside up"
    ready carrier 18089 nsenter -t "$pid" -n
}
