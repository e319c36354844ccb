//! Linker arguments of the shared object. Nothing is generated here: the header is committed.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if target == "linux" || target == "android" {
        // The number is HELIO_ABI_VERSION: programs linked against it find no other.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libhelio.so.1");
        // dlclose after destroy is harmless: the code stays for threads that still return through it.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,now");
    }
}
