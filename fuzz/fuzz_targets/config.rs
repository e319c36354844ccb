//! No config, no environment and no overrides break the reader; what it takes once it takes again.

#![no_main]

use helio::config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut parts = text.splitn(3, '\u{1}');
    let (config, overrides, variable) = (parts.next().unwrap_or(""), parts.next(), parts.next());
    if config.contains("_file") || overrides.is_some_and(|text| text.contains("_file")) {
        return; // files are the host's
    }
    let environment = |name: &str| variable.filter(|_| name.starts_with("HELIO") || name.ends_with("_proxy")).map(str::to_owned);
    let read = Config::read(Some(config), &environment);
    assert_eq!(read.is_ok(), Config::read(Some(config), &environment).is_ok());
    if let (Ok(config), Some(overrides)) = (read, overrides) {
        let _settings = config.with_overrides(overrides);
    }
});
