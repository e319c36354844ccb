//! Tests that need a process of their own: for its environment, its threads, or because it forks.

use std::process::Command;

const MARK: &str = "HELIO_TEST_ALONE";

/// What the library or a proxy would read; a process of its own starts without them.
const ENVIRONMENT: [&str; 11] = [
    "HELIO_API_KEY",
    "HELIO_BASE_URL",
    "HELICONE_API_KEY",
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// Runs `body` in a process in which only this test runs, with this environment. `name` comes from
/// [`this_test`](crate::this_test). The test function as a whole runs in both processes, `body` only in its own;
/// `true` comes back where it ran elsewhere.
pub fn alone(name: &str, environment: &[(&str, &str)], body: impl FnOnce()) -> bool {
    if std::env::var(MARK).as_deref() == Ok(name) {
        body();
        return false;
    }
    let mut command = Command::new(std::env::current_exe().expect("the test's own program"));
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]);
    for variable in ENVIRONMENT {
        command.env_remove(variable);
    }
    let output = command.envs(environment.iter().copied()).env(MARK, name).output().expect("the test's own program");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "in its own process, {}:\n{text}", output.status);
    assert!(text.contains("test result: ok. 1 passed"), "{name} was not found in its own process:\n{text}");
    true
}

/// The name of the test that uses it, as the test program's filter knows it.
#[macro_export]
macro_rules! this_test {
    () => {{
        fn here() {}
        let path = std::any::type_name_of_val(&here);
        let path = path.strip_suffix("::here").unwrap_or(path);
        path.split_once("::").map_or(path, |(_program, test)| test)
    }};
}
