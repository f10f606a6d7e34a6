# The small shop: nginx, two Go and two Python services, Redis and PostgreSQL. Sourced by demo/run.

build_small() {
    local service
    for service in web cart loadgen; do
        (cd $service && GOFLAGS=-mod=mod GOTOOLCHAIN=local GOCACHE=$cache/go exec setpriv --pdeathsig TERM go build -o "$cache/bin/$service" .)
    done
}

start_small() {
    start_redis
    prepare_postgres
    start_postgres
    start_services
    start web "$cache/bin/web"
    ready web 18081
    start_nginx
}

# Redis comes again when it ends, unless it is to be away.
start_redis() {
    start redis ./keep "$work/broken/dependency-down" redis-server --port 16379 --bind 127.0.0.1 --save "" --appendonly no \
        --dir "$work" --loglevel warning
}

prepare_postgres() {
    postgres=$(dirname "$(ls /usr/lib/postgresql/*/bin/postgres | tail -n 1)")
    install -d -o postgres "$work/postgres"
    runuser -u postgres -- "$postgres/initdb" -D "$work/postgres" -A trust -N >"$work/initdb.log"
}

start_postgres() {
    start postgres setpriv --reuid=postgres --regid=postgres --clear-groups --pdeathsig QUIT "$postgres/postgres" -D "$work/postgres" \
        -p 15432 -c listen_addresses=127.0.0.1 -c unix_socket_directories="$work/postgres" -c fsync=off -c log_min_messages=fatal
    ready postgres 15432
    psql -q -h 127.0.0.1 -p 15432 -U postgres -f catalog/schema.sql >/dev/null
}

start_services() {
    start catalog /usr/bin/python3 catalog/catalog.py
    start checkout /usr/bin/python3 checkout/checkout.py
    ready redis 16379
    start cart "$cache/bin/cart"
    ready catalog 18083
    ready checkout 18084
    ready cart 18082
}

start_nginx() {
    mkdir -p "$work/nginx"
    fill nginx/nginx.conf "$work/nginx/nginx.conf"
    start nginx nginx -p "$work/nginx" -c "$work/nginx/nginx.conf" -e "$work/nginx.log"
    ready nginx 18080
}
