//! Addresses that take no connection.

use helio::abi::*;
use serde_json::json;

use super::row::{Again, nobody};
use super::stage::Nobody;

faults!(
    "TCP",
    "The address is known, and a connection to it is opened.",
    refused = nobody("nothing listens on the port", Nobody::closed)
        .fails(HELIO_ERR_CONNECT, 0)
        .says(&["base_url"])
        .tried_again(Again::InVain),
    silent = nobody("the address swallows every attempt, as a firewall does", Nobody::silent)
        .config(json!({"timeouts": {"connect_ms": 100}}))
        .times_out("connect", 0)
        .tried_again(Again::InVain),
);
