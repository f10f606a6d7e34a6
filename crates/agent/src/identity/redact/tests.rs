//! What must not pass, and what must.

use super::*;

#[test]
fn canaries_never_pass() {
    for args in [
        &["app", "--password=canary"][..],
        &["app", "--password", "canary"],
        &["app", "--db-password", "canary"],
        &["app", "-Dspring.datasource.password=canary"],
        &["env", "API_KEY=canary", "app"],
        &["app", "--api-key", "canary"],
        &["app", "--auth.token:canary"],
        &["redis-cli", "-a", "canary", "get", "x"],
        &["redis-server", "*:6379", "--requirepass", "canary"],
        &["mysql", "-pcanary", "-uroot"],
        &["curl", "-u", "me:canary", "http://host/"],
        &["curl", "-ume:canary", "http://host/"],
        &["curl", "-H", "Authorization: Bearer canary", "http://host/"],
        &["app", "postgres://me:canary@db/shop"],
        &["app", "--url=postgres://me:canary@db:5432/shop?sslmode=off"],
        &["app", "amqp://me:p@canary@mq/"],
        &["app", "http://host/path?session=canary&x=canary"],
        &["sh", "-c", "PGPASSWORD=canary psql -h db"],
        &["sh", "-c", "psql 'postgres://me:canary@db/shop' -c 'select 1'"],
        &["sh", "-c", "app --password canary --port 80"],
        &["app", "ghp_canarycanarycanary"],
        &["app", "--key=sk-canary-0123456789"],
        // Data of clients.
        &["redis-cli", "-h", "db", "-p", "6379", "set", "canary-key", "canary"],
        &["redis-cli", "--eval", "a.lua", "canary", ",", "canary"],
        &["/usr/bin/redis-cli", "-u", "redis://me:canary@db:6379/0", "lrange", "canary", "0", "-1"],
        &["redis-cli", "set", "--canary", "canary canary"],
        &["mysql", "-p", "canary"],
        &["mysql", "-uroot", "-e", "select 'canary'"],
        &["mysql", "--execute=select 'canary'"],
        &["psql", "postgresql://u:canary@db/shop"],
        &["psql", "host=db password=canary user=me"],
        &["psql", "-qtc", "select 'canary'"],
        &["curl", "-sSu", "me:canary", "http://host/"],
        &["curl", "--user=me:canary", "http://host/"],
        &["curl", "-XPOST", "-dcanary", "http://host/?a=canary"],
        &["curl", "-x", "me:canary@proxy:3128", "http://host/"],
        &["curl", "-HX-Any: canary", "http://host/"],
        &["http", "POST", "http://host/", "name=canary", "X-Any:canary"],
        &["wrk", "-c", "4", "-H", "Cookie: a=canary; b=canary", "http://host/"],
        &["tool", "--header", "X-Any: canary"],
        &["sshpass", "-pcanary", "ssh", "me@host"],
        &["sshpass", "-p", "canary", "mysql", "-pcanary"],
        &["docker", "login", "-u", "me", "-p", "canary", "registry.example.com"],
        &["docker", "run", "-e", "POSTGRES_PASSWORD=canary", "postgres"],
        &["docker", "exec", "box", "redis-cli", "set", "a", "canary"],
        &["kubectl", "create", "secret", "generic", "x", "--from-literal", "a=canary"],
        &["kubectl", "exec", "pod", "--", "sh", "-c", "redis-cli set a canary; echo canary | cat"],
        &["vault", "login", "-method=token", "canary"],
        &["vault", "login", "hvs.canarycanarycanary"],
        &["vault", "kv", "put", "-mount=secret", "path", "value=canary"],
        &["consul", "kv", "put", "a", "canary"],
        &["etcdctl", "--endpoints", "a:2379", "put", "a", "canary"],
        &["aws", "configure", "set", "aws_secret_access_key", "canary"],
        &["env", "AWS_SECRET_ACCESS_KEY=canary", "REDISCLI_AUTH=canary", "aws", "s3", "ls"],
        &["npm", "config", "set", "//registry.example.com/:_authToken", "canary"],
        &["git", "-c", "http.extraHeader=Authorization: Basic canary canary", "fetch"],
        &["git", "clone", "https://canary@host/x.git"],
        &["app", "amqp://me:canary@a,amqp://me:canary@b"],
        &["app", "postgres://me:can/canary@db/shop"],
        &["app", "postgres://me:canary"],
        &["app", "me:canary@tcp(db:3306)/shop"],
        &["app", "jdbc:sqlserver://db:1433;user=me;password=canary"],
        &["app", "--conf=a=b,sasl.password=canary"],
        &["app", "{\"user\":\"me\",\"password\":\"canary\"}"],
        &["app", "{ \"password\" : \"canary\" }"],
        &["app", "X-Api-Key: canary canary"],
        &["app", "--db", "host=db password = canary"],
        &["python3", "-uc", "print('canary')"],
        &["node", "--eval=canary"],
        &["perl", "-lne", "print 'canary'"],
        &["bash", "-lc", "PASSWORD=canary app --token=\"canary canary\" && curl --header=\"X-Any: canary\" http://h/"],
        &["su", "-", "postgres", "-c", "psql -c \"select 'canary'\""],
        &["ssh", "host", "mysql -pcanary shop"],
        &["mosquitto_pub", "-t", "a", "-P", "canary", "-m", "canary"],
        &["openssl", "enc", "-pass", "pass:canary"],
        &["app", "eyJcanarycanarycanary.a.b"],
    ] {
        let line = command_line(args);
        assert!(!line.contains("canary"), "{args:?} became {line}");
        assert!(line.contains(REDACTED), "{args:?} became {line}");
    }
}

#[test]
fn what_is_no_secret_stays() {
    for args in [
        &["nginx", "-g", "daemon off;"][..],
        &["java", "-Xmx1g", "-jar", "/srv/shop/checkout-1.2.jar", "--server.port=8080"],
        &["redis-server", "*:6379"],
        &["app", "http://host:80/path", "-p", "8080"],
        &["python3", "-m", "gunicorn", "shop.wsgi:application"],
        &["redis-cli", "-h", "db", "-p", "6379", "ping"],
        &["postgres", "-D", "/var/lib/postgresql/15/main", "-c", "config_file=/etc/postgresql/15/main/postgresql.conf"],
        &["docker", "run", "--rm", "-p", "80:80", "redis:7@sha256:abc"],
        &["ssh", "me@host", "-p", "22"],
        &["curl", "-sS", "-o", "/dev/null", "https://example.com/a/b"],
        &["sh", "-c", "exec java -jar /srv/app.jar; true"],
        &["git", "log", "--author=somebody"],
        &["app", "http://[::1]:80/x", "kafka://a:9092,b:9092/x", "http://host:80/a@b"],
        &["gunicorn: master [shop.wsgi:application]"],
        &["psql", "-h", "db", "-U", "me", "shop"],
        &["app", "--listen", "[::1]:80", "--peers=a:1,b:2", "it's", "don't \"do\" that"],
    ] {
        assert_eq!(command_line(args), args.join(" "));
    }
}

#[test]
fn what_is_said_remains_readable() {
    for (args, expected) in [
        (&["redis-cli", "-p", "1", "set", "a", "b"][..], "redis-cli -p 1 set REDACTED REDACTED"),
        (&["sh", "-c", "redis-cli get a | wc -l"], "sh -c redis-cli get REDACTED | wc -l"),
        (&["mysql", "-uroot", "-psecret", "shop"], "mysql -uroot -pREDACTED shop"),
        (&["curl", "-sSu", "a:b", "http://c:d@host/p?q=1"], "curl -sSu REDACTED http://REDACTED@host/p?q=REDACTED"),
        (&["bash", "-c", "A_TOKEN='x y' app 'b c'"], "bash -c A_TOKEN=REDACTED app 'b c'"),
    ] {
        assert_eq!(command_line(args), expected);
    }
}

#[test]
fn long_and_odd_lines_are_cut_at_a_character() {
    let long = "ü".repeat(5000);
    assert!(command_line(&["app", &long]).len() <= MAX_BYTES);
    assert_eq!(command_line(&[]), "");
    let odd = [
        "=",
        ":",
        "://",
        "--",
        "-",
        "a://@",
        "?=",
        "&",
        "'",
        "\"",
        "' '",
        "x=' ' '",
        "\\",
        "-ü",
        "ü=\"ü ü",
        "\u{2003}",
    ];
    command_line(&odd);
    for program in ["sh", "mysql", "redis-cli", "python3", "app"] {
        for one in odd {
            command_line(&[program, one, "-c", one, one]);
            command_line(&[program, "-c", &odd.join(" "), &odd.join("")]);
        }
    }
    let nested = (0..64).fold("x".to_owned(), |text, _| format!("sh -c '{text} \"a b\"'"));
    assert!(command_line(&["sh", "-c", &nested]).len() <= MAX_BYTES);
}
