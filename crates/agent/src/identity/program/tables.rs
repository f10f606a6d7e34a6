//! What is known of runtimes, launchers and names: rows that [`super::program`] goes through.

pub struct Runtime {
    /// The executable's name, without a version behind it (`python3.11` is `python`).
    pub executables: &'static [&'static str],
    pub name: &'static str,
    /// Options whose value is the next argument.
    pub options_with_value: &'static [&'static str],
    /// Options after which the program is no file: code on the command line, a prompt.
    pub no_file: &'static [&'static str],
    /// Options whose value is the module to run.
    pub module: &'static [&'static str],
    /// Sub-commands that stand before the script (`bun run x.ts`).
    pub subcommands: &'static [&'static str],
}

const NONE: Runtime =
    Runtime { executables: &[], name: "", options_with_value: &[], no_file: &[], module: &[], subcommands: &[] };

pub const RUNTIMES: &[Runtime] = &[
    Runtime {
        executables: &["java"],
        name: "java",
        options_with_value: &[
            "-cp",
            "-classpath",
            "--class-path",
            "-p",
            "--module-path",
            "--upgrade-module-path",
            "--add-modules",
            "--add-opens",
            "--add-exports",
            "--add-reads",
            "--patch-module",
            "--limit-modules",
            "--source",
        ],
        module: &["-m", "--module"],
        ..NONE
    },
    Runtime {
        executables: &["python", "pypy", "uwsgi-python"],
        name: "cpython",
        options_with_value: &["-W", "-X", "--check-hash-based-pycs"],
        no_file: &["-c"],
        module: &["-m"],
        ..NONE
    },
    Runtime {
        executables: &["node", "nodejs"],
        name: "nodejs",
        options_with_value: &[
            "-r",
            "--require",
            "--import",
            "--loader",
            "--experimental-loader",
            "-C",
            "--conditions",
            "--env-file",
            "--icu-data-dir",
            "--input-type",
            "--title",
        ],
        no_file: &["-e", "--eval", "-p", "--print", "-i"],
        ..NONE
    },
    Runtime { executables: &["bun"], name: "bun", subcommands: &["run", "x"], no_file: &["-e"], ..NONE },
    Runtime { executables: &["deno"], name: "deno", subcommands: &["run", "serve"], ..NONE },
    Runtime {
        executables: &["ruby", "jruby"],
        name: "ruby",
        options_with_value: &["-I", "-r", "-C", "-E"],
        no_file: &["-e"],
        ..NONE
    },
    Runtime {
        executables: &["php"],
        name: "php",
        options_with_value: &["-d", "-c", "-S", "-t"],
        no_file: &["-r", "-B"],
        ..NONE
    },
    Runtime { executables: &["perl"], name: "perl", options_with_value: &["-I"], no_file: &["-e", "-E"], ..NONE },
    Runtime { executables: &["dotnet"], name: "dotnet", subcommands: &["exec"], ..NONE },
    Runtime { executables: &["bash", "sh", "dash", "ash", "zsh"], name: "", no_file: &["-c", "-s"], ..NONE },
];

/// Tools that run somebody else's application, which they are told as `module:object`, by an option or as a script.
/// (tool, options whose value is the application, whether the first plain argument is it)
pub const LAUNCHERS: &[(&str, &[&str], bool)] = &[
    ("gunicorn", &[], true),
    ("uvicorn", &[], true),
    ("hypercorn", &[], true),
    ("daphne", &[], true),
    ("granian", &[], true),
    ("waitress-serve", &[], true),
    ("flask", &["--app", "-A"], false),
    ("celery", &["-A", "--app"], false),
    ("streamlit", &[], true),
    ("ts-node", &[], true),
    ("tsx", &[], true),
    ("nodemon", &[], true),
    ("fastapi", &[], true),
    // These run the application of the folder that they are started in.
    ("npm", &[], false),
    ("yarn", &[], false),
    ("pnpm", &[], false),
    ("next", &[], false),
    ("rails", &[], false),
    ("puma", &[], false),
    ("unicorn", &[], false),
    ("rackup", &[], false),
    ("thin", &[], false),
    ("sidekiq", &[], false),
    ("passenger", &[], false),
];

/// Options of launchers whose value is the next argument: it is not the application.
pub const LAUNCHER_VALUES: &[&str] = &[
    "-w",
    "--workers",
    "-b",
    "--bind",
    "-k",
    "--worker-class",
    "-c",
    "--config",
    "--host",
    "--port",
    "-p",
    "-t",
    "--timeout",
    "--threads",
    "--log-level",
    "--loop",
    "-n",
    "--name",
    "--app-dir",
    "--interface",
    "--chdir",
    "--pid",
    "--access-logfile",
    "--error-logfile",
    "--log-config",
    "--root-path",
    "--uds",
    "--fd",
    "--env-file",
    "--worker-connections",
];

/// File and module names that every second application has.
pub const SAYS_NOTHING: &[&str] = &[
    "index",
    "main",
    "__main__",
    "server",
    "app",
    "application",
    "start",
    "run",
    "serve",
    "cli",
    "manage",
    "wsgi",
    "asgi",
    "api",
    "web",
    "worker",
    "bootstrap",
    "launcher",
    "artisan",
    "config",
    "puma",
    "service",
    "rails",
    "dev",
];
/// Names of compiled programs that say nothing; `web` and `api` beside each other do.
pub const SAYS_NOTHING_EXECUTABLE: &[&str] =
    &["main", "app", "server", "application", "start", "run", "a.out", "__debug_bin"];
/// Folders between an application's folder and its files.
pub const SAYS_NOTHING_FOLDER: &[&str] = &[
    "src",
    "dist",
    "build",
    "bin",
    "sbin",
    "lib",
    "out",
    "target",
    "app",
    "public",
    "current",
    "release",
    "debug",
    "www",
    "script",
    "cmd",
    "server",
    "exe",
    "usr",
    "local",
    "opt",
    "srv",
    "home",
    "root",
    "var",
    "tmp",
    "workspace",
    ".",
];

/// Main classes that load somebody else's: the folder says more.
pub const LOADERS: &[&str] = &["JarLauncher", "WarLauncher", "PropertiesLauncher"];

/// Main classes of programs that everybody knows by another name.
pub const MAIN_CLASSES: &[(&str, &str)] = &[
    ("kafka.Kafka", "kafka"),
    ("org.apache.catalina.startup.Bootstrap", "tomcat"),
    ("org.apache.zookeeper.server.quorum.QuorumPeerMain", "zookeeper"),
    ("org.elasticsearch.server/org.elasticsearch.bootstrap.Elasticsearch", "elasticsearch"),
    ("org.elasticsearch.bootstrap.Elasticsearch", "elasticsearch"),
    ("org.opensearch.bootstrap.OpenSearch", "opensearch"),
    ("org.apache.cassandra.service.CassandraDaemon", "cassandra"),
    ("org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint", "flink-jobmanager"),
    ("org.apache.hadoop.hdfs.server.namenode.NameNode", "hdfs-namenode"),
    ("org.apache.hadoop.hdfs.server.datanode.DataNode", "hdfs-datanode"),
    ("org.apache.pulsar.PulsarBrokerStarter", "pulsar"),
    ("org.apache.rocketmq.broker.BrokerStartup", "rocketmq-broker"),
    ("org.apache.rocketmq.namesrv.NamesrvStartup", "rocketmq-namesrv"),
    ("com.alibaba.nacos.Nacos", "nacos"),
];
