//! Identity with real processes: the collector runs, programs of several languages are started, and what is said of
//! them is compared with what they are. Needs root for the BPF programs.

use limpid_agent::collectors::processes::Processes;
use limpid_agent::identity::Identity;
use limpid_agent::telemetry::Process;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn pid(&self) -> u32 {
        self.0.id()
    }
}

fn start() -> (Arc<Identity>, Processes) {
    let identity = Identity::start();
    match Processes::start(identity.clone()) {
        Ok(processes) => (identity, processes),
        Err(error) => panic!("{error}; run this test as root on a kernel with BTF"),
    }
}

fn spawn(command: &mut Command) -> Running {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    Running(child.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}")))
}

/// Until `done` says yes; some records are read at the collector's own pace.
fn wait_for<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(found) = done() {
            return found;
        }
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn named(identity: &Identity, pid: u32, expected: &str) -> Arc<Process> {
    wait_for(&format!("{pid} to be {expected}, it is {}", identity.process(pid).service), || {
        Some(identity.process(pid)).filter(|process| process.service == expected)
    })
}

fn attribute<'a>(process: &'a Process, name: &str) -> &'a str {
    process.attributes.iter().find(|(have, _)| have == name).map_or("", |(_, value)| value.as_str())
}

/// The next line of a child's output.
fn line(child: &mut Running) -> String {
    let mut line = String::new();
    BufReader::new(child.0.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    line.trim().to_owned()
}

#[test]
fn gone_after_a_millisecond() {
    let (identity, _processes) = start();
    let mut child = Command::new("/bin/true");
    child
        .env_clear()
        .env("OTEL_SERVICE_NAME", "blink")
        .env("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=shop")
        .arg("--a");
    let mut child = spawn(&mut child);
    let pid = child.pid();
    child.0.wait().expect("ends");
    assert!(!Path::new(&format!("/proc/{pid}/environ")).exists(), "it must be gone for this test to say something");
    let process = named(&identity, pid, "blink");
    assert_eq!(attribute(&process, "service.namespace"), "shop");
    assert_eq!(attribute(&process, "process.command_line"), "/bin/true --a");
    assert_eq!(attribute(&process, "process.executable.name"), "true");
    assert_eq!(attribute(&process, "process.owner"), "root");
}

#[test]
fn a_shell_that_becomes_another_program() {
    let (identity, _processes) = start();
    let mut shell = spawn(Command::new("sh").args(["-c", "echo up; read x; OTEL_SERVICE_NAME=second exec sleep 60"]));
    let pid = shell.pid();
    assert_eq!(line(&mut shell), "up");
    // By the name it was called, although that is a link to another shell on Debian.
    assert_eq!(identity.process(pid).service, "sh");
    let epoch = identity.epoch();
    shell.0.stdin.take().expect("piped").write_all(b"x\n").expect("written");
    named(&identity, pid, "second");
    assert!(identity.epoch() > epoch, "who holds the old answer must hear of it");
}

#[test]
fn languages() {
    let (identity, _processes) = start();
    let folder = tempfile_dir("languages");
    let write = |path: &str, text: &str| {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, text).expect("written");
        path
    };
    let script = write("stock/main.py", "print('up', flush=True)\nimport time\ntime.sleep(60)\n");
    let mut python = spawn(Command::new("python3").arg(script));
    assert_eq!(line(&mut python), "up");
    assert_eq!(attribute(&named(&identity, python.pid(), "stock"), "process.runtime.name"), "cpython");

    write("orders/__init__.py", "");
    write("orders/worker.py", "print('up', flush=True)\nimport time\ntime.sleep(60)\n");
    let mut module = spawn(Command::new("python3").args(["-m", "orders.worker"]).current_dir(&folder));
    assert_eq!(line(&mut module), "up");
    named(&identity, module.pid(), "orders");

    let server = write("frontend/server.js", "console.log('up'); setTimeout(() => {}, 60000)\n");
    let node = Command::new("node").arg("server.js").current_dir(server.parent().expect("a folder")).spawn_running();
    let mut node = node;
    assert_eq!(line(&mut node), "up");
    assert_eq!(attribute(&named(&identity, node.pid(), "frontend"), "process.runtime.name"), "nodejs");

    // A file that says nothing, in a folder that says nothing, of a package with a name.
    write("release/package.json", "{\"name\": \"@shop/storefront\"}\n");
    let built = write("release/dist/index.js", "console.log('up'); setTimeout(() => {}, 60000)\n");
    let mut packaged = Command::new("node").arg(built).spawn_running();
    assert_eq!(line(&mut packaged), "up");
    named(&identity, packaged.pid(), "storefront");

    let source = write(
        "src/Billing.java",
        "public class Billing { public static void main(String[] a) throws Exception { System.out.println(\"up\"); Thread.sleep(60000); } }\n",
    );
    let compiled = Command::new("javac").arg("-d").arg(&folder).arg(&source).status();
    // The name stands behind a class path that is longer than the kernel's record.
    let class_path = format!("{}{}", folder.display(), ":/usr/share/java/some-library-1.2.3.jar".repeat(200));
    let mut java = Command::new("java");
    java.arg("-cp").arg(class_path);
    let java = match compiled {
        Ok(status) if status.success() => java.arg("Billing").spawn_running(),
        // Only a run-time is installed: it compiles a single source itself.
        _ => java.arg(&source).spawn_running(),
    };
    let mut java = java;
    assert_eq!(line(&mut java), "up");
    assert_eq!(attribute(&named(&identity, java.pid(), "Billing"), "process.runtime.name"), "java");

    let main = write(
        "cart/main.go",
        "package main\nimport (\"fmt\"; \"time\")\nfunc main() { fmt.Println(\"up\"); time.Sleep(time.Minute) }\n",
    );
    let binary = folder.join("cartd");
    let built = Command::new("go")
        .arg("build")
        .arg("-o")
        .arg(&binary)
        .arg(&main)
        .env("GOFLAGS", "-mod=mod")
        .status()
        .expect("go");
    assert!(built.success());
    let mut go = Command::new(&binary).spawn_running();
    assert_eq!(line(&mut go), "up");
    assert_eq!(attribute(&named(&identity, go.pid(), "cartd"), "process.runtime.name"), "go");
    std::fs::remove_dir_all(&folder).expect("removed");
}

trait SpawnRunning {
    fn spawn_running(&mut self) -> Running;
}

impl SpawnRunning for Command {
    fn spawn_running(&mut self) -> Running {
        spawn(self)
    }
}

fn tempfile_dir(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("limpid-identity-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("made");
    folder
}

const FORKING: &str = "
import os, sys, time, socket
children = []
for number in range(2):
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    children.append(pid)
print(*children, flush=True)
time.sleep(float(sys.argv[1]))
";

/// Everything that happened before this call has been told to the agent: records come in order.
fn everything_read(identity: &Identity) {
    let mut marker = spawn(Command::new("/bin/true").env("OTEL_SERVICE_NAME", "marker"));
    marker.0.wait().expect("ends");
    named(identity, marker.pid(), "marker");
}

#[test]
fn workers_are_the_instance_of_their_master() {
    let folder = tempfile_dir("workers");
    let script = folder.join("prefork.py");
    std::fs::write(&script, FORKING).expect("written");
    // A name that is a link: what exec was told and what /proc shows are two paths.
    let python = folder.join("python3");
    let real = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().expect("python3");
    let real = std::fs::canonicalize(String::from_utf8_lossy(&real.stdout).trim()).expect("a path");
    std::os::unix::fs::symlink(real, &python).expect("a link");
    // Once older than the agent, once younger.
    let mut older = spawn(Command::new(&python).arg(&script).arg("60"));
    let older_workers = line(&mut older);
    let (identity, _processes) = start();
    let mut younger = spawn(Command::new(&python).arg(&script).arg("60"));
    let younger_workers = line(&mut younger);
    // Nobody has asked for the master when its workers are forked.
    everything_read(&identity);
    for (master, workers) in [(&older, &older_workers), (&younger, &younger_workers)] {
        let entity = named(&identity, master.pid(), "prefork").entity.clone();
        let workers: Vec<u32> = workers.split(' ').map(|pid| pid.parse().expect("a pid")).collect();
        for worker in &workers {
            assert_eq!(identity.process(*worker).entity, entity, "{worker} was forked by {}", master.pid());
        }
        // Another agent says the same.
        assert_eq!(Identity::start().process(workers[0]).entity, entity);
        workers.iter().for_each(|worker| kill(*worker));
    }
    std::fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn a_daemon_outlives_the_process_that_started_it() {
    let folder = tempfile_dir("daemon");
    let script = folder.join("daemon.py");
    std::fs::write(&script, FORKING).expect("written");
    let (identity, _processes) = start();
    let mut master = spawn(Command::new("python3").arg(&script).arg("0.3"));
    let workers: Vec<u32> = line(&mut master).split(' ').map(|pid| pid.parse().expect("a pid")).collect();
    let first = identity.process(workers[0]).entity.clone();
    assert_eq!(first, identity.process(master.pid()).entity);
    master.0.wait().expect("ends");
    let after = wait_for("the child to stand for itself", || {
        Some(identity.process(workers[0]).entity.clone()).filter(|entity| *entity != first)
    });
    assert_eq!(identity.process(workers[0]).service, "daemon");
    assert_eq!(after, Identity::start().process(workers[0]).entity, "another agent says the same");
    workers.iter().for_each(|worker| kill(*worker));
    std::fs::remove_dir_all(&folder).expect("removed");
}

fn kill(pid: u32) {
    // SAFETY: a signal to a child's child of this test.
    unsafe { libc::kill(pid as i32, libc::SIGKILL) };
}

#[test]
fn two_of_one_name_get_their_ports() {
    let (identity, _processes) = start();
    let redis = |port: &str| {
        spawn(Command::new("redis-server").args(["--port", port, "--save", "", "--requirepass", "canary"]))
    };
    let first = redis("17391");
    let listens = |port: u16| wait_for("redis to listen", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    listens(17391);
    identity.refresh();
    let bare = identity.process(first.pid());
    assert!(bare.service.starts_with("redis"), "{}", bare.service);
    assert!(!attribute(&bare, "process.command_line").contains("canary"));
    let second = redis("17392");
    listens(17392);
    identity.refresh();
    let base = bare.service.trim_end_matches("-17391");
    assert_eq!(identity.process(first.pid()).service, format!("{base}-17391"));
    assert_eq!(identity.process(second.pid()).service, format!("{base}-17392"));
    assert_eq!(identity.process(first.pid()).entity, bare.entity, "the instance stays the same");
    let again = Identity::start();
    assert_eq!(again.process(first.pid()).service, format!("{base}-17391"), "another agent says the same");
    let entities = again.entities();
    let entity = entities.iter().find(|entity| entity.id == bare.entity).expect("the process is an entity");
    assert!(
        entity
            .attribute("limpid.listen")
            .is_some_and(|listen| listen.contains("127.0.0.1:17391") || listen.contains("0.0.0.0:17391")),
        "{entity:?}"
    );
    assert_eq!(entity.attribute("limpid.service"), Some(format!("service:default/{base}-17391").as_str()));
    assert!(entities.iter().any(|entity| entity.kind == "host"));
    assert!(!format!("{entities:?}").contains("canary"));
}

#[test]
fn a_thread_that_executes_another_program() {
    let (identity, _processes) = start();
    let code = "import threading, os\nprint('up', flush=True)\ninput()\n\
                go = lambda: os.execve('/bin/sleep', ['sleep', '60'], {'OTEL_SERVICE_NAME': 'after'})\n\
                thread = threading.Thread(target=go)\nthread.start()\nthread.join()";
    let mut python = spawn(Command::new("python3").args(["-c", code]).env("OTEL_SERVICE_NAME", "before"));
    let before = named(&identity, python.pid(), "before").entity.clone();
    assert_eq!(line(&mut python), "up");
    python.0.stdin.take().expect("piped").write_all(b"\n").expect("written");
    let after = named(&identity, python.pid(), "after");
    assert_eq!(after.entity, before, "the same process by another name");
}

#[test]
fn a_pid_that_is_used_again() {
    let (identity, _processes) = start();
    let mut first = spawn(Command::new("/bin/true").env("OTEL_SERVICE_NAME", "first"));
    first.0.wait().expect("ends");
    let pid = first.pid();
    let before = named(&identity, pid, "first").entity.clone();
    // Start times are told in ticks of 10 ms: nowhere but here is a pid used twice within one.
    std::thread::sleep(Duration::from_millis(20));
    // The kernel is asked to begin its search there; others may be quicker.
    let second = wait_for("the same pid", || {
        std::fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).expect("the kernel has ns_last_pid");
        Some(spawn(Command::new("sleep").arg("60").env("OTEL_SERVICE_NAME", "second"))).filter(|one| one.pid() == pid)
    });
    let after = named(&identity, second.pid(), "second");
    assert_ne!(after.entity, before);
}

const ID: &str = "7be92808767a667f35c8505cbf40d14e931ef6db5b0210329cf193b15ba9d605";

/// Where cgroups can be made: the unified hierarchy, or the one of version 1 that every container runtime uses.
fn cgroup_roots() -> Vec<std::path::PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("mounts");
    let of_interest = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        let pids = fields[2] == "cgroup" && fields[3].split(',').any(|option| option == "pids");
        (pids || fields[2] == "cgroup2").then(|| std::path::PathBuf::from(fields[1]))
    };
    mounts.lines().filter_map(of_interest).collect()
}

/// A shell moves itself, as service managers and container runtimes do before they execute what was asked for.
fn spawn_in(root: &Path, cgroup: &str) -> Running {
    let folder = root.join(cgroup);
    std::fs::create_dir_all(&folder).expect("a cgroup; is the hierarchy writable?");
    let script = format!(
        "echo $$ >'{}/cgroup.procs' && exec /tmp/limpid-identity-program-{} 60",
        folder.display(),
        std::process::id()
    );
    spawn(Command::new("sh").args(["-c", &script]))
}

#[test]
fn units_and_containers_by_their_cgroups() {
    let program = format!("/tmp/limpid-identity-program-{}", std::process::id());
    std::fs::copy("/bin/sleep", &program).expect("copied");
    let own_name = program.rsplit('/').next().expect("a name");
    let top = format!("limpid-test-{}", std::process::id());
    let (identity, _processes) = start();
    for root in cgroup_roots() {
        for (cgroup, service, container) in [
            ("system.slice/limpid-shop.service".to_owned(), "limpid-shop", ""),
            ("system.slice/limpid-shop.service/workers".to_owned(), "limpid-shop", ""),
            (format!("system.slice/docker-{ID}.scope"), own_name, ID),
            (format!("docker/{ID}"), own_name, ID),
            (format!("kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope"), own_name, ID),
            (format!("system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:{ID}"), own_name, ID),
            (format!("kubepods.slice/kubepods-pod1.slice/crio-{ID}.scope/container"), own_name, ID),
            (format!("machine.slice/libpod-{ID}.scope/container"), own_name, ID),
        ] {
            let child = spawn_in(&root, &format!("{top}/{cgroup}"));
            let process = named(&identity, child.pid(), service);
            assert_eq!(attribute(&process, "container.id"), container, "{cgroup} below {}", root.display());
            // An agent that starts later reads /proc and says the same.
            let again = Identity::start().process(child.pid());
            assert_eq!((&again.service, attribute(&again, "container.id")), (&process.service, container), "{cgroup}");
            drop(child);
            remove_cgroups(&root.join(&top));
        }
    }
    std::fs::remove_file(&program).expect("removed");
}

/// From the leaves up; a process that has just ended may still be in one.
fn remove_cgroups(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    entries.flatten().filter(|entry| entry.path().is_dir()).for_each(|entry| remove_cgroups(&entry.path()));
    wait_for("the cgroup to be empty", || std::fs::remove_dir(folder).ok());
}
