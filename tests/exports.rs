//! What the shared object shows to the world: exactly the names in `exports.txt`, under its own soname, and
//! for as long as the process lives.

#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The shared object that was built together with this test.
fn shared_object() -> PathBuf {
    let program = std::env::current_exe().expect("the test's own program");
    let deps = program.parent().expect("its folder");
    let places = [deps.join("libhelio.so"), deps.join("../libhelio.so")];
    let found = places.iter().filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)));
    let (_, newest) = found.max().unwrap_or_else(|| panic!("no libhelio.so at {places:?}; run `cargo build`"));
    newest.clone()
}

fn output_of(program: &str, arguments: &[&str], file: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(file).output();
    let output = output.unwrap_or_else(|error| panic!("{program}, of the package binutils: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn it_exports_the_names_in_the_list_and_nothing_else() {
    let symbols = output_of("nm", &["-D", "--defined-only", "--format=posix"], &shared_object());
    let exported: BTreeSet<_> = symbols.lines().filter_map(|line| line.split(' ').next()).collect();
    let listed: BTreeSet<_> = include_str!("exports.txt").lines().collect();
    let (extra, missing): (Vec<_>, Vec<_>) =
        (exported.difference(&listed).collect(), listed.difference(&exported).collect());
    assert!(extra.is_empty() && missing.is_empty(), "exported but not listed: {extra:?}; missing: {missing:?}");
}

#[test]
fn it_has_a_soname_and_is_never_unloaded() {
    let dynamic = output_of("readelf", &["-dW"], &shared_object());
    assert!(dynamic.contains("[libhelio.so.1]"), "no soname:\n{dynamic}");
    let flags = dynamic.lines().find(|line| line.contains("(FLAGS_1)")).unwrap_or_default();
    assert!(flags.contains("NODELETE"), "dlclose would unload it: {flags:?}");
}

#[test]
fn it_needs_nothing_but_the_system() {
    let dynamic = output_of("readelf", &["-dW"], &shared_object());
    for line in dynamic.lines().filter(|line| line.contains("(NEEDED)")) {
        let system = ["libc.so", "libm.so", "libgcc_s.so", "libpthread.so", "libdl.so", "ld-linux"];
        assert!(system.iter().any(|name| line.contains(name)), "{line}");
    }
}
