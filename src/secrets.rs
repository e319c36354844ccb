//! What must never be read anywhere, and how it is masked.

use crate::chat::json::write_inner;

const MASK: &str = "***";
/// Words shorter than this are not masked: they would blot out ordinary text and are no secret worth the name.
const SHORTEST: usize = 4;

/// The secrets of one client. Everything that leaves in a message, body, report or log line goes through [`Secrets::mask`].
#[derive(Default, Clone)]
pub struct Secrets {
    words: Vec<String>, // longest first, so that a part never spoils the whole
}

impl Secrets {
    /// Remember a secret; of a header value like `Bearer abc` also the part behind the scheme.
    pub fn add(&mut self, value: &str) {
        let value = value.trim();
        for word in [Some(value), value.split_once(' ').map(|(_, rest)| rest.trim())].into_iter().flatten() {
            let mut escaped = String::new();
            write_inner(&mut escaped, word);
            // As it is, and in the forms that JSON may give it.
            for form in [word.to_owned(), escaped.replace('/', "\\/"), escaped] {
                if word.len() >= SHORTEST && !self.words.contains(&form) {
                    self.words.push(form);
                }
            }
        }
        self.words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    }

    /// The text without any secret in it.
    pub fn mask(&self, text: String) -> String {
        let mut text = text;
        for word in &self.words {
            if text.contains(word.as_str()) {
                text = text.replace(word.as_str(), MASK);
            }
        }
        text
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.words.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_and_the_part_behind_its_scheme_are_masked() {
        let mut secrets = Secrets::default();
        secrets.add("Bearer sk-123456");
        assert_eq!(secrets.mask("got Bearer sk-123456 and sk-123456".into()), "got *** and ***");
        secrets.add("a/b\"c");
        assert_eq!(secrets.mask(r#"a/b"c a\/b\"c a/b\"c"#.into()), "*** *** ***");
        secrets.add("k");
        assert_eq!(secrets.mask("kk".into()), "kk");
    }
}
