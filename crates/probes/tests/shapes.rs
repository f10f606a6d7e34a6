//! Functions of many shapes, as the compiler makes them with many settings: each site is tried on all ways through what
//! objdump prints.
#![allow(clippy::unwrap_used)]

mod common;

use common::{C_ARGUMENTS, Listing, function, run};
use limpid_probes::{Exit, Inspection, Library, Role, inspect};
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = r#"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
struct ssl { int state; int (*read)(struct ssl *, void *, size_t); char error; long count; int *table; };
extern void report(int);
extern int outside(struct ssl *, void *, int);
extern void copy(void *, const void *, size_t);

__attribute__((noinline)) static int inner(struct ssl *s, void *buf, size_t num, size_t *done) {
    if (s->read == NULL) { report(1); return -1; }
    if (s->state & 1) { report(2); return 0; }
    for (size_t i = 0; i < num; i++) { if (s->table[i] < 0) { *done = i; return -2; } s->count += s->table[i]; }
    char room[64]; copy(room, buf, num < 64 ? num : 64);
    *done = num + room[0];
    return 1;
}
int SSL_read(struct ssl *s, void *buf, int num) {
    size_t done;
    if (num < 0) { report(3); return -1; }
    int ret = inner(s, buf, (size_t)num, &done);
    if (ret > 0) ret = (int)done;
    return ret;
}
int SSL_read_ex(struct ssl *s, void *buf, size_t num, size_t *done) {
    int ret = inner(s, buf, num, done);
    if (ret < 0) ret = 0;
    return ret;
}
int SSL_write(struct ssl *s, const void *buf, int num) {
    switch (s->state) {
    case 0: report(4); return -1;
    case 1: s->count++; return outside(s, (void *)buf, num);
    case 2: return num;
    case 3: if (s->error) abort(); return 7;
    case 4: s->count += num; return s->read(s, (void *)buf, num);
    default: break;
    }
    while (num > 0) { num -= s->table[num]; if (s->table[num] == 3) return num; }
    return 0;
}
int SSL_write_ex(struct ssl *s, const void *buf, size_t num, size_t *done) {
    if (s->state == 9) return outside(s, (void *)buf, (int)num);
    char room[32]; memset(room, s->error, sizeof room); copy(room, buf, num & 31);
    *done = num; return room[3];
}
int SSL_do_handshake(struct ssl *s) {
    if (!s->read) { report(5); return -1; }
    int sum = 0;
    do { sum += s->table[sum & 7]; if (sum == 77) return 5; } while (sum < 100);
    return sum > 3 && s->count ? 1 : s->error ? -1 : 0;
}
int SSL_connect(struct ssl *s) { if (!s->read) report(6); return SSL_do_handshake(s); }
int SSL_set_fd(struct ssl *s, int fd) { s->state = fd; return 1; }
void SSL_free(struct ssl *s) { if (s) free(s); }
"#;

fn compile(folder: &Path, flags: &[&str]) -> PathBuf {
    let source = folder.join("shapes.c");
    let library = folder.join("libshapes.so");
    std::fs::write(&source, SOURCE).unwrap();
    run(Command::new("cc").args(["-shared", "-fPIC", "-w"]).args(flags).arg("-o").arg(&library).arg(&source));
    library
}

fn inspected(file: &Path) -> Inspection {
    inspect(file).unwrap().expect("a library with SSL_read")
}

fn arguments(role: Role) -> usize {
    match role {
        Role::ReadEx | Role::WriteEx => 4,
        Role::Read | Role::Write => 3,
        Role::SetFd => 2,
        _ => 1,
    }
}

#[test]
fn sites_of_every_shape_are_passed_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut sites = 0;
    for level in ["-O0", "-O1", "-O2", "-O3", "-Os"] {
        for canary in ["-fno-stack-protector", "-fstack-protector-strong", "-fstack-protector-all"] {
            for branch in ["-fcf-protection=none", "-fcf-protection=full"] {
                for plt in ["-fplt", "-fno-plt", "-fno-omit-frame-pointer"] {
                    let library = compile(folder.path(), &[level, canary, branch, plt]);
                    let (found, listing) = (inspected(&library), Listing::of(&library));
                    for function in &found.functions {
                        listing.check(function, &C_ARGUMENTS[..arguments(function.role)], &["ax"]);
                        sites += usize::from(matches!(function.exit, Exit::Sites(_)));
                    }
                }
            }
        }
    }
    assert!(sites > 90, "only {sites} functions have exit sites");
}

#[test]
fn a_canary_gives_a_cheap_exit() {
    let folder = tempfile::tempdir().unwrap();
    let found = inspected(&compile(folder.path(), &["-O2", "-fstack-protector-all", "-fcf-protection=none"]));
    assert_eq!(found.library, Library::OpenSsl);
    let read = function(&found, "SSL_read");
    assert!(read.entry.emulated);
    let Exit::Sites(sites) = &read.exit else { panic!("{read:?}") };
    assert!(sites.iter().all(|site| site.emulated), "{read:?}");
}

#[test]
fn a_return_probe_goes_behind_endbr64() {
    let folder = tempfile::tempdir().unwrap();
    let library = compile(folder.path(), &["-O0", "-fcf-protection=full"]);
    let found = inspected(&library);
    let write = function(&found, "SSL_write");
    let Exit::ReturnProbe(site) = &write.exit else { panic!("{write:?}") };
    let symbol = run(Command::new("nm").arg("-D").arg(&library));
    let line = symbol.lines().find(|line| line.ends_with(" SSL_write")).unwrap();
    let start = u64::from_str_radix(line.split(' ').next().unwrap(), 16).unwrap();
    assert!(Listing::of(&library).address(site) > start, "{write:?}");
    assert!(site.emulated, "{write:?}");
}

#[test]
fn a_thin_wrapper_is_left_where_its_callee_returns() {
    let folder = tempfile::tempdir().unwrap();
    let found = inspected(&compile(
        folder.path(),
        &["-O2", "-fstack-protector-all", "-fcf-protection=none", "-fno-stack-protector"],
    ));
    let read = function(&found, "SSL_read_ex");
    assert!(read.entry.emulated, "{read:?}");
    assert!(read.exit_shared, "{read:?}");
}

#[test]
fn what_is_known_at_the_entry_has_no_exit() {
    let folder = tempfile::tempdir().unwrap();
    let found = inspected(&compile(folder.path(), &["-O2"]));
    assert_eq!(function(&found, "SSL_set_fd").exit, Exit::None);
    assert_eq!(function(&found, "SSL_free").exit, Exit::None);
}

#[test]
fn a_stripped_program_says_nothing_and_a_library_still_does() {
    let folder = tempfile::tempdir().unwrap();
    let library = compile(folder.path(), &["-O2", "-s"]);
    assert!(!inspected(&library).functions.is_empty());
    let source = folder.path().join("main.c");
    std::fs::write(&source, format!("{SOURCE}\nvoid report(int x) {{}} int outside(struct ssl *s, void *b, int n) {{ return n; }} void copy(void *a, const void *b, size_t n) {{}}\nint main(int c, char **v) {{ return SSL_read((void *)v, v, c) + SSL_write((void *)v, v, c); }}")).unwrap();
    let program = folder.path().join("program");
    run(Command::new("cc").args(["-O1", "-w", "-o"]).arg(&program).arg(&source));
    assert_eq!(inspected(&program).library, Library::OpenSsl);
    run(Command::new("strip").arg(&program));
    assert_eq!(inspect(&program).unwrap(), None);
}

/// What compilers seldom make: a branch that is not emulated, arguments that have moved, places behind a site that are
/// sites themselves, a loop at the beginning.
const ASSEMBLY: &str = r#"
    .text
    .macro begin name
    .globl \name
    .type \name, @function
\name:
    .endm
    .macro end name
    .size \name, . - \name
    .endm
    begin SSL_read
    jrcxz 1f
    push %rbx
    pop %rbx
1:  xor %eax, %eax
    ret
    end SSL_read
    begin SSL_write
    mov %rdi, %rax
    mov %rsi, %rdi
    mov %rax, %rsi
    jmp 1f
1:  xor %eax, %eax
    ret
    end SSL_write
    begin SSL_read_ex
    push %rbx
    mov $1, %eax
    test %edi, %edi
    je 9f
    jmp 1f
1:  jmp 2f
2:  jmp 9f
9:  pop %rbx
    ret
    end SSL_read_ex
    begin SSL_write_ex
1:  test %edi, %edi
    je 1b
    push %rbx
    xor %eax, %eax
    test %esi, %esi
    je 2f
    mov $5, %eax
2:  pop %rbx
    ret
    end SSL_write_ex
    .section .note.GNU-stack,"",@progbits
"#;

#[test]
fn shapes_made_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let (source, library) = (folder.path().join("shapes.s"), folder.path().join("libshapes.so"));
    std::fs::write(&source, ASSEMBLY).unwrap();
    run(Command::new("cc").arg("-shared").arg("-o").arg(&library).arg(&source));
    let (found, listing) = (inspected(&library), Listing::of(&library));
    for function in &found.functions {
        listing.check(function, &C_ARGUMENTS[..arguments(function.role)], &["ax"]);
    }
    let entries = ["SSL_read", "SSL_write", "SSL_read_ex", "SSL_write_ex"].map(|symbol| function(&found, symbol));
    assert_eq!(entries.map(|function| function.entry.emulated), [false, false, true, true]);
    let Exit::Sites(sites) = &entries[2].exit else { panic!("{:?}", entries[2]) };
    assert!(sites.len() == 1 && sites[0].instruction.starts_with("je"), "{sites:?}");
}
