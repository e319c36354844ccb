//! The table of faults: where a fault strikes, what happens there, what the host sees of it, and whether it is tried
//! again. Each row is data and a test of its own; one runner plays them all, and `docs/faults.md` is written from the
//! same rows.
//!
//! `HELIO_BLESS=1 cargo test --test scenarios table` rewrites the page.

mod page;
mod row;
mod run;
mod stage;

/// The rows of one place: `name = row`, each of which becomes a test with this name.
macro_rules! faults {
    ($heading:literal, $about:literal, $($name:ident = $row:expr),+ $(,)?) => {
        /// This place, for the page.
        pub fn place() -> $crate::table::row::Place {
            $crate::table::row::Place { heading: $heading, about: $about, rows: vec![$(rows::$name()),+] }
        }

        mod rows {
            use super::*;

            $(pub fn $name() -> $crate::table::row::Row { $row })+
        }

        $(
            #[test]
            fn $name() {
                $crate::table::run::play(&rows::$name());
            }
        )+
    };
}

mod after;
mod call;
mod content;
mod deadlines;
mod framing;
mod head;
mod host;
mod inside;
mod json;
mod limits;
mod name;
mod numbers;
mod proxy;
mod refusal;
mod reused;
mod secure_proxy;
mod sending;
mod socks;
mod stream;
mod tcp;
mod tls;
mod waiting;
mod wishes;

/// All places, in the order in which a request comes to them.
fn places() -> Vec<row::Place> {
    vec![
        call::place(),
        name::place(),
        tcp::place(),
        proxy::place(),
        secure_proxy::place(),
        socks::place(),
        tls::place(),
        sending::place(),
        waiting::place(),
        head::place(),
        numbers::place(),
        refusal::place(),
        wishes::place(),
        stream::place(),
        framing::place(),
        content::place(),
        inside::place(),
        json::place(),
        after::place(),
        reused::place(),
        deadlines::place(),
        limits::place(),
        host::place(),
    ]
}
