//! docs/threats.md names the test that shows each line: all of them exist.

use std::path::Path;

fn sources(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs" || ending == "py") {
            into.push_str(&std::fs::read_to_string(&path).expect("text"));
        }
    }
}

#[test]
fn each_test_that_the_page_of_threats_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = String::new();
    for folder in ["src", "tests"] {
        sources(&root.join(folder), &mut all);
    }
    let page = std::fs::read_to_string(root.join("docs/threats.md")).expect("the page");
    let mut rows = 0;
    for row in page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---") && line.contains('`')) {
        let shown_by = row.trim_end_matches(" |").rsplit(" | ").next().expect("a column");
        let names: Vec<_> = shown_by.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test in: {row}");
        for name in names {
            let exists = [format!("fn {name}("), format!("def {name}("), format!("    {name} = ")];
            assert!(exists.iter().any(|form| all.contains(form)), "there is no test {name}, named in: {row}");
        }
        rows += 1;
    }
    assert!(rows > 30, "only {rows} rows: the page is not read as it is written");
}
