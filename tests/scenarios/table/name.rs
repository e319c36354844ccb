//! Names without an address.

use helio::abi::*;

use super::row::{Again, nobody};
use super::stage::Nobody;

faults!(
    "The name",
    "The host of `base_url` is looked up by the operating system.",
    unknown = nobody("no such host exists", || Nobody::named("no-such-host.invalid"))
        .fails(HELIO_ERR_DNS, 0)
        .says(&["no-such-host.invalid"])
        .tried_again(Again::IfTemporary),
    impossible = nobody("the name is longer than a name can be", || Nobody::named(&("a".repeat(64) + ".invalid")))
        .fails(HELIO_ERR_DNS, 0)
        .says(&["base_url"]),
);
