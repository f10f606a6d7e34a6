//! What a language runtime runs: the jar, script or module behind `java`, `node`, `python`, `ruby` and others.
//!
//! A runtime is a row of [`RUNTIMES`]: how its executable is called, which of its options take a value of their own, and
//! which tools start somebody else's application (`gunicorn shop.wsgi`). A name that says nothing (`main.py`, `index.js`)
//! is replaced by the folder's.

use limpid_model::Text;

/// What a command line says about the program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// `process.runtime.name`, where a runtime was recognised.
    pub runtime: Option<&'static str>,
    /// What it runs; `None` for a plain executable, or when it runs nothing with a name (`python -c`).
    pub name: Option<Text>,
}

struct Runtime {
    /// The executable's name, without a version behind it (`python3.11` is `python`).
    executables: &'static [&'static str],
    name: &'static str,
    /// Options whose value is the next argument.
    options_with_value: &'static [&'static str],
    /// Options after which the program is no file: code on the command line, a prompt.
    no_file: &'static [&'static str],
    /// Options whose value is the module to run.
    module: &'static [&'static str],
    /// Sub-commands that stand before the script (`bun run x.ts`).
    subcommands: &'static [&'static str],
}

const NONE: Runtime =
    Runtime { executables: &[], name: "", options_with_value: &[], no_file: &[], module: &[], subcommands: &[] };

const RUNTIMES: &[Runtime] = &[
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
const LAUNCHERS: &[(&str, &[&str], bool)] = &[
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
];

/// Options of launchers whose value is the next argument: it is not the application.
const LAUNCHER_VALUES: &[&str] = &[
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
const SAYS_NOTHING: &[&str] = &[
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
];
/// Folders between an application's folder and its files.
const SAYS_NOTHING_FOLDER: &[&str] = &[
    "src", "dist", "build", "bin", "lib", "out", "target", "app", "public", "current", "release", "www", "script",
    "cmd", "server", ".",
];

/// Main classes of programs that everybody knows by another name.
const MAIN_CLASSES: &[(&str, &str)] = &[
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

/// Reads a command line. `cwd` is the working directory where it is known: a bare `server.js` is named after it.
pub fn program(exe: &str, args: &[&str], cwd: Option<&str>) -> Program {
    let Some(runtime) = runtime_of(exe) else { return Program::default() };
    let name = titled(args).or_else(|| match runtime.name {
        "java" => java(runtime, args, cwd),
        _ => script(runtime, args, cwd),
    });
    let runtime = Some(runtime.name).filter(|name| !name.is_empty());
    Program { runtime, name: name.filter(|name| !name.is_empty()) }
}

/// The executable's file name, without what the kernel appends to a replaced file.
pub fn executable_name(exe: &str) -> &str {
    let exe = exe.strip_suffix(" (deleted)").unwrap_or(exe);
    exe.rsplit('/').next().unwrap_or(exe)
}

fn runtime_of(exe: &str) -> Option<&'static Runtime> {
    let name = executable_name(exe);
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    RUNTIMES.iter().find(|runtime| runtime.executables.contains(&bare) || runtime.executables.contains(&name))
}

/// Servers that overwrite their command line: `gunicorn: master [shop]`, `puma 6.4.2 (tcp://0.0.0.0:3000) [shop]`.
fn titled(args: &[&str]) -> Option<Text> {
    let title = args.first()?;
    if !["gunicorn: ", "puma ", "puma: ", "unicorn ", "Passenger "].iter().any(|start| title.starts_with(start)) {
        return None;
    }
    let (_, rest) = title.rsplit_once('[')?;
    application(rest.strip_suffix(']')?, None)
}

fn java(runtime: &Runtime, args: &[&str], cwd: Option<&str>) -> Option<Text> {
    // What the application calls itself goes before what its file is called.
    for prefix in ["-Dspring.application.name=", "-Dquarkus.application.name="] {
        if let Some(name) = args.iter().find_map(|arg| arg.strip_prefix(prefix)) {
            return Some(Text::from(name));
        }
    }
    let mut rest = args.iter().skip(1);
    while let Some(arg) = rest.next() {
        if *arg == "-jar" {
            return Some(without_version(&stem_or_folder(rest.next()?, cwd)));
        }
        if runtime.module.contains(arg) {
            return Some(main_class(rest.next()?));
        }
        if runtime.options_with_value.contains(arg) {
            rest.next();
        } else if !arg.starts_with(['-', '@']) {
            return Some(if arg.ends_with(".java") { stem_or_folder(arg, cwd) } else { main_class(arg) });
        }
    }
    None
}

fn main_class(class: &str) -> Text {
    if let Some((_, name)) = MAIN_CLASSES.iter().find(|(known, _)| *known == class) {
        return Text::from(*name);
    }
    let class = class.rsplit('/').next().unwrap_or(class);
    let mut parts = class.rsplit('.');
    let simple = parts.next().unwrap_or(class);
    match parts.next().filter(|_| says_nothing(simple)) {
        Some(package) => Text::from(package),
        None => Text::from(simple),
    }
}

/// `checkout-1.4.2-SNAPSHOT` is `checkout`: a new version is the same service.
fn without_version(name: &str) -> Text {
    let version = name.match_indices('-').find(|(at, _)| name[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
    match version {
        Some((at, _)) if at > 0 && name[at..].contains('.') => Text::from(&name[..at]),
        _ => Text::from(name),
    }
}

fn script(runtime: &Runtime, args: &[&str], cwd: Option<&str>) -> Option<Text> {
    let mut rest = args.iter().skip(1).copied().enumerate().peekable();
    while let Some((at, arg)) = rest.next() {
        if runtime.no_file.contains(&arg) {
            return None;
        }
        if runtime.module.contains(&arg) {
            let (at, module) = rest.next()?;
            return module_name(module, args.get(at + 2..).unwrap_or_default(), cwd);
        }
        if runtime.options_with_value.contains(&arg) {
            rest.next();
        } else if !arg.starts_with('-') && !runtime.subcommands.contains(&arg) {
            return launched(arg, args.get(at + 2..).unwrap_or_default(), cwd)
                .or_else(|| Some(stem_or_folder(arg, cwd)));
        }
    }
    None
}

fn module_name(module: &str, rest: &[&str], cwd: Option<&str>) -> Option<Text> {
    launched(module, rest, cwd).or_else(|| application(module, cwd))
}

/// The application that a launcher was told to run; `None` when `tool` is no launcher.
fn launched(tool: &str, rest: &[&str], cwd: Option<&str>) -> Option<Text> {
    let stem = tool.rsplit('/').next().unwrap_or(tool);
    let (_, options, first) = LAUNCHERS.iter().find(|(name, ..)| *name == stem)?;
    let mut plain = None;
    let mut at = 0;
    while let Some(arg) = rest.get(at) {
        let (name, glued) = arg.split_once('=').map_or((*arg, None), |(name, value)| (name, Some(value)));
        if options.contains(&name) || stem == "gunicorn" && matches!(name, "-n" | "--name") {
            return application(glued.or_else(|| rest.get(at + 1).copied())?, cwd);
        }
        at += if LAUNCHER_VALUES.contains(&name) && glued.is_none() { 2 } else { 1 };
        if *first && plain.is_none() && !arg.starts_with('-') && *arg != "run" {
            plain = Some(*arg);
        }
    }
    match plain {
        Some(found) if found.contains('/') || found.ends_with(".js") || found.ends_with(".ts") => {
            Some(stem_or_folder(found, cwd))
        }
        Some(found) => application(found, cwd),
        None => Some(folder(cwd).unwrap_or_else(|| Text::from(stem))),
    }
}

/// `shop.wsgi:application` is `shop`.
fn application(module: &str, cwd: Option<&str>) -> Option<Text> {
    let module = module.split([':', '(']).next().unwrap_or(module).trim_end_matches(".py");
    let telling = module.rsplit(['.', '/']).find(|part| !part.is_empty() && !says_nothing(part));
    telling.map(Text::from).or_else(|| folder(cwd)).or_else(|| Some(Text::from(module)))
}

/// The file's name without its ending, or its folder's when that says nothing.
fn stem_or_folder(path: &str, cwd: Option<&str>) -> Text {
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| if stem.is_empty() { file } else { stem });
    if !says_nothing(stem) {
        return Text::from(stem);
    }
    let within = path.rsplit_once('/').map(|(folder, _)| folder);
    let from_path = within.and_then(telling_folder);
    let absolute = path.starts_with('/');
    from_path.or_else(|| folder(cwd.filter(|_| !absolute))).unwrap_or_else(|| Text::from(stem))
}

fn folder(cwd: Option<&str>) -> Option<Text> {
    telling_folder(cwd?)
}

fn telling_folder(path: &str) -> Option<Text> {
    let is_telling = |part: &&str| !part.is_empty() && *part != ".." && !SAYS_NOTHING_FOLDER.contains(part);
    path.rsplit('/').take(4).find(is_telling).map(Text::from)
}

fn says_nothing(name: &str) -> bool {
    SAYS_NOTHING.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(line: &str, cwd: Option<&str>) -> Option<String> {
        let args: Vec<&str> = line.split(' ').collect();
        program(args[0], &args, cwd).name.map(String::from)
    }

    #[test]
    fn what_runtimes_run() {
        for (line, cwd, expected) in [
            ("/usr/bin/java -Xmx1g -cp /a:/b -jar /srv/checkout-1.4.2-SNAPSHOT.jar --port 80", None, Some("checkout")),
            ("java -jar app.jar", Some("/srv/cart"), Some("cart")),
            ("java -cp lib/* com.example.shop.OrderService", None, Some("OrderService")),
            ("java -cp lib/* com.example.shop.Main", None, Some("shop")),
            ("java -Xmx1G kafka.Kafka config/server.properties", None, Some("kafka")),
            ("java -Dspring.application.name=billing -jar x.jar", None, Some("billing")),
            ("java --add-opens java.base/java.lang=ALL-UNNAMED -m shop/com.example.Orders", None, Some("Orders")),
            ("java -version", None, None),
            ("node server.js", Some("/srv/frontend"), Some("frontend")),
            ("node --require ./tracing.js /srv/frontend/dist/index.js", None, Some("frontend")),
            ("node -e 1", None, None),
            ("node /srv/payments.mjs", None, Some("payments")),
            ("python3.11 demo/recommend.py --port 1", None, Some("recommend")),
            ("python3 -u /srv/ads/main.py", None, Some("ads")),
            ("python3 -m http.server 8000", None, Some("http")),
            ("python3 -m shop.orders", None, Some("orders")),
            ("python3 -m gunicorn -w 4 -b 0.0.0.0:80 shop.wsgi:application", None, Some("shop")),
            ("/usr/bin/python3 /usr/local/bin/gunicorn --bind=:80 checkout:app", None, Some("checkout")),
            ("/usr/bin/python3 /usr/bin/uvicorn main:app --port 8000", Some("/srv/quotes"), Some("quotes")),
            ("/usr/bin/python3 /usr/bin/flask --app stock run", None, Some("stock")),
            ("/usr/bin/python3 /usr/bin/celery -A mailer worker", None, Some("mailer")),
            ("python3 manage.py runserver", Some("/srv/site"), Some("site")),
            ("python3 -c print(1)", None, None),
            ("python3", None, None),
            ("ruby3.1 /srv/blog/bin/rails server", None, Some("rails")),
            ("ruby billing.rb", None, Some("billing")),
            ("bun run src/index.ts", Some("/srv/edge"), Some("edge")),
            ("dotnet /app/Catalog.dll", None, Some("Catalog")),
            ("bash /opt/backup.sh", None, Some("backup")),
            ("sh -c whatever", None, None),
            ("nginx -g x", None, None),
        ] {
            assert_eq!(named(line, cwd).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn overwritten_titles() {
        for (exe, title, expected) in [
            ("/usr/bin/python3.11", "gunicorn: master [shop.wsgi:application]", "shop"),
            ("/usr/bin/ruby3.1", "puma 6.4.2 (tcp://0.0.0.0:3000) [store]", "store"),
        ] {
            assert_eq!(program(exe, &[title], None).name.as_deref(), Some(expected));
        }
    }

    #[test]
    fn odd_lines_do_no_harm() {
        for line in ["java -jar", "java -m", "python3 -m", "python3 -W", "node", "python3 -m gunicorn", "gunicorn: ]["]
        {
            named(line, None);
            named(line, Some("/"));
        }
        assert_eq!(program("", &[], None), Program::default());
        assert_eq!(executable_name("/usr/sbin/nginx (deleted)"), "nginx");
    }
}
