//! What a language runtime runs: the jar, script or module behind `java`, `node`, `python`, `ruby` and others.
//!
//! A runtime is a row of [`RUNTIMES`]: how its executable is called, which of its options take a value of their own, and
//! which tools start somebody else's application (`gunicorn shop.wsgi`). A name that says nothing (`main.py`, `index.js`)
//! is replaced by the folder's.

mod tables;

use limpid_model::Text;
use tables::{
    LAUNCHER_VALUES, LAUNCHERS, LOADERS, MAIN_CLASSES, RUNTIMES, Runtime, SAYS_NOTHING, SAYS_NOTHING_EXECUTABLE,
    SAYS_NOTHING_FOLDER,
};

/// What a command line says about the program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// `process.runtime.name`, where a runtime was recognised.
    pub runtime: Option<&'static str>,
    /// What it runs; `None` for a plain executable, or when it runs nothing with a name (`python -c`).
    pub name: Option<Text>,
}

/// What stands around a program and names it where its file says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Around<'a> {
    /// The working directory, where it is known: a bare `server.js` is named after it.
    pub cwd: Option<&'a str>,
    /// What the package that the script belongs to calls itself.
    pub package: Option<&'a str>,
}

/// Reads a command line.
pub fn program(exe: &str, args: &[&str], around: Around) -> Program {
    let Some(runtime) = runtime_of(exe) else { return Program::default() };
    let name = titled(args, around).or_else(|| match runtime.name {
        "java" => java(runtime, args, around),
        _ => script(runtime, args, around),
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

/// Servers that overwrite their command line: `gunicorn: master [shop]`, `puma 6.4.2 (tcp://0.0.0.0:3000) [shop]`,
/// `sidekiq 7.2.0 shop [0 of 5 busy]`, `npm start`.
fn titled(args: &[&str], around: Around) -> Option<Text> {
    let title = args.first()?;
    if title.starts_with("npm ") || title.starts_with("yarn ") {
        return folder(around);
    }
    if let Some(rest) = title.strip_prefix("sidekiq ") {
        return rest.split(' ').nth(1).and_then(|name| application(name, around));
    }
    if !["gunicorn: ", "puma ", "puma: ", "unicorn ", "Passenger "].iter().any(|start| title.starts_with(start)) {
        return None;
    }
    let (_, rest) = title.rsplit_once('[')?;
    application(rest.strip_suffix(']')?, Around::default())
}

fn java(runtime: &Runtime, args: &[&str], around: Around) -> Option<Text> {
    // What the application calls itself goes before what its file is called.
    for prefix in ["-Dspring.application.name=", "--spring.application.name=", "-Dquarkus.application.name="] {
        if let Some(name) = args.iter().find_map(|arg| arg.strip_prefix(prefix)) {
            return Some(Text::from(name));
        }
    }
    let mut rest = args.iter().skip(1);
    while let Some(arg) = rest.next() {
        if *arg == "-jar" {
            return Some(without_version(&stem_or_folder(rest.next()?, around)));
        }
        if runtime.module.contains(arg) {
            return Some(main_class(rest.next()?, around));
        }
        if runtime.options_with_value.contains(arg) {
            rest.next();
        } else if !arg.starts_with(['-', '@']) {
            return Some(if arg.ends_with(".java") { stem_or_folder(arg, around) } else { main_class(arg, around) });
        }
    }
    None
}

fn main_class(class: &str, around: Around) -> Text {
    if let Some((_, name)) = MAIN_CLASSES.iter().find(|(known, _)| *known == class) {
        return Text::from(*name);
    }
    let class = class.rsplit('/').next().unwrap_or(class);
    let mut parts = class.rsplit('.');
    let simple = parts.next().unwrap_or(class);
    if LOADERS.contains(&simple) {
        return folder(around).unwrap_or_else(|| Text::from(simple));
    }
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

fn script(runtime: &Runtime, args: &[&str], around: Around) -> Option<Text> {
    let mut rest = args.iter().skip(1).copied().enumerate().peekable();
    while let Some((at, arg)) = rest.next() {
        if runtime.no_file.contains(&arg) {
            return None;
        }
        if runtime.module.contains(&arg) {
            let (at, module) = rest.next()?;
            return module_name(module, args.get(at + 2..).unwrap_or_default(), around);
        }
        if runtime.options_with_value.contains(&arg) {
            rest.next();
        } else if !arg.starts_with('-') && !runtime.subcommands.contains(&arg) {
            return launched(arg, args.get(at + 2..).unwrap_or_default(), around)
                .or_else(|| Some(stem_or_folder(arg, around)));
        }
    }
    None
}

fn module_name(module: &str, rest: &[&str], around: Around) -> Option<Text> {
    launched(module, rest, around).or_else(|| application(module, around))
}

/// The application that a launcher was told to run; `None` when `tool` is no launcher.
fn launched(tool: &str, rest: &[&str], around: Around) -> Option<Text> {
    let stem = tool.rsplit('/').next().unwrap_or(tool);
    if let ("bundle", ["exec", tool, rest @ ..]) = (stem, rest) {
        return launched(tool, rest, around).or_else(|| Some(stem_or_folder(tool, around)));
    }
    let (_, options, first) = LAUNCHERS.iter().find(|(name, ..)| *name == stem)?;
    let mut plain = None;
    let mut at = 0;
    while let Some(arg) = rest.get(at) {
        let (name, glued) = arg.split_once('=').map_or((*arg, None), |(name, value)| (name, Some(value)));
        if options.contains(&name) || stem == "gunicorn" && matches!(name, "-n" | "--name") {
            return application(glued.or_else(|| rest.get(at + 1).copied())?, around);
        }
        at += if LAUNCHER_VALUES.contains(&name) && glued.is_none() { 2 } else { 1 };
        if *first && plain.is_none() && !arg.starts_with('-') && !matches!(*arg, "run" | "dev" | "watch") {
            plain = Some(*arg);
        }
    }
    match plain {
        Some(found) if found.contains('/') || found.ends_with(".js") || found.ends_with(".ts") => {
            Some(stem_or_folder(found, around))
        }
        Some(found) => application(found, around),
        None => Some(folder(around).unwrap_or_else(|| Text::from(stem))),
    }
}

/// `shop.wsgi:application` is `shop`.
fn application(module: &str, around: Around) -> Option<Text> {
    let module = module.split([':', '(']).next().unwrap_or(module).trim_end_matches(".py");
    let telling = module.rsplit(['.', '/']).find(|part| !part.is_empty() && !says_nothing(part));
    telling.map(Text::from).or_else(|| folder(around)).or_else(|| Some(Text::from(module)))
}

/// The file's name without its ending, or its package's or folder's when that says nothing.
pub fn stem_or_folder(path: &str, around: Around) -> Text {
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| if stem.is_empty() { file } else { stem });
    if !says_nothing(stem) && !executable_says_nothing(stem) {
        return Text::from(stem);
    }
    let within = path.rsplit_once('/').and_then(|(folder, _)| telling_folder(folder));
    // `go run` builds into a folder whose name is a number.
    let within = within.filter(|_| !path.contains("/go-build"));
    let from_cwd =
        || around.cwd.filter(|_| !path.starts_with('/') || path.contains("/go-build")).and_then(telling_folder);
    let package = around.package.map(Text::from);
    package.or(within).or_else(from_cwd).unwrap_or_else(|| Text::from(stem))
}

fn folder(around: Around) -> Option<Text> {
    around.package.map(Text::from).or_else(|| telling_folder(around.cwd?))
}

fn telling_folder(path: &str) -> Option<Text> {
    let is_telling = |part: &&str| !part.is_empty() && *part != ".." && !SAYS_NOTHING_FOLDER.contains(part);
    path.rsplit('/').take(4).find(is_telling).map(Text::from)
}

pub fn executable_says_nothing(name: &str) -> bool {
    SAYS_NOTHING_EXECUTABLE.contains(&name)
}

fn says_nothing(name: &str) -> bool {
    SAYS_NOTHING.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(line: &str, cwd: Option<&str>) -> Option<String> {
        let args: Vec<&str> = line.split(' ').collect();
        program(args[0], &args, Around { cwd, package: None }).name.map(String::from)
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
            ("java -jar x.jar --spring.application.name=orders", None, Some("orders")),
            ("java org.springframework.boot.loader.launch.JarLauncher", Some("/srv/returns"), Some("returns")),
            ("node /usr/bin/npm start", Some("/srv/frontend"), Some("frontend")),
            ("node /srv/shop/node_modules/.bin/next start", Some("/srv/shop"), Some("shop")),
            ("ruby3.1 /usr/bin/bundle exec puma -C config/puma.rb", Some("/srv/blog"), Some("blog")),
            ("ruby /usr/bin/bundle exec ruby-script.rb", None, Some("ruby-script")),
            ("ruby /srv/blog/bin/rails server", Some("/srv/blog"), Some("blog")),
            ("ruby /usr/bin/sidekiq -c 5", Some("/srv/mailer"), Some("mailer")),
            ("python3 /usr/bin/fastapi run rates.py", None, Some("rates")),
            ("python3 -m flask run", Some("/srv/stock"), Some("stock")),
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
            ("/usr/bin/ruby3.1", "sidekiq 7.2.0 mailer [0 of 5 busy]", "mailer"),
        ] {
            assert_eq!(program(exe, &[title], Around::default()).name.as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_package_names_what_its_files_do_not() {
        let around = Around { cwd: Some("/srv/x"), package: Some("storefront") };
        for (line, expected) in [
            ("node dist/index.js", "storefront"),
            ("node /opt/x/server.js", "storefront"),
            ("npm start", "storefront"),
            ("node payments.js", "payments"),
        ] {
            let args: Vec<&str> = if line.starts_with("npm") { vec![line] } else { line.split(' ').collect() };
            assert_eq!(program("/usr/bin/node", &args, around).name.as_deref(), Some(expected), "{line}");
        }
    }

    #[test]
    fn odd_lines_do_no_harm() {
        for line in ["java -jar", "java -m", "python3 -m", "python3 -W", "node", "python3 -m gunicorn", "gunicorn: ]["]
        {
            named(line, None);
            named(line, Some("/"));
        }
        assert_eq!(program("", &[], Around::default()), Program::default());
        assert_eq!(executable_name("/usr/sbin/nginx (deleted)"), "nginx");
    }
}
