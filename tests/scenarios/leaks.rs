//! Ways in which a secret got out once, each as small as can be. secrets.rs looks everywhere.

use serde_json::json;

use crate::support::c::{Client, KEY};
use crate::support::certs::ours;
use crate::support::chat::{ASK, completion};
use crate::support::conn::{Conn, Framing};
use crate::support::outcome::Outcome;
use crate::support::server::Server;

/// All that is said of a call with this header in the config to a server that answers so.
fn told(header: &str, script: impl Fn(&mut Conn) + Send + Sync + 'static) -> String {
    let server = Server::new(move |_, conn| script(conn));
    let client = Client::with(&server, json!({"headers": {"x-h": header}}));
    all(&client.ask(ASK))
}

fn all(outcome: &Outcome) -> String {
    let error = outcome.error.as_ref().map(|error| format!("{}\n{}\n{}\n", error.message, error.code(), error.body()));
    error.unwrap_or_default() + outcome.done().report.as_deref().unwrap()
}

fn refused(config: serde_json::Value) -> String {
    Client::try_new(Some(config.to_string().as_bytes())).err().expect("no client").message
}

#[test]
fn a_header_value_that_is_part_of_the_key_does_not_uncover_it() {
    let told = told("test", |conn| conn.answer(401, &[], format!("bad key {KEY}")));
    assert!(!told.contains("4f1d9b7c2e8a6035"), "{told}");
}

#[test]
fn a_secret_is_masked_where_json_escapes_letters_by_number() {
    let told = told("dXNlcjpodW50ZXIyMg==", |conn| {
        conn.json(401, r#"{"error":{"message":"dXNlcjpodW50ZXIyMg\u003d\u003d"}}"#);
    });
    assert!(!told.contains("dXNlcjpodW50ZXIyMg"), "the body of the error: {told}");
}

#[test]
fn a_secret_is_masked_where_the_report_repeats_json_that_escapes_letters_by_number() {
    let told = told("dXNlcjpodW50ZXIyMg==", |conn| {
        conn.json(200, completion("Hello").replace("m-1", r"dXNlcjpodW50ZXIyMg\u003d\u003d"));
    });
    assert!(!told.contains("dXNlcjpodW50ZXIyMg"), "model in the report: {told}");
}

#[test]
fn a_secret_is_masked_in_the_name_of_a_reported_field() {
    let told = told("x", |conn| conn.answer(400, &[(&format!("x-request-id-{KEY}"), "1")], ""));
    assert!(!told.contains(KEY), "{told}");
}

#[test]
fn a_secret_is_masked_in_a_content_coding_that_is_not_ascii() {
    let told = told("schlüssel-9c0d11aa", |conn| conn.answer(200, &[("content-encoding", "schlüssel-9c0d11aa")], "x"));
    assert!(!told.contains("ssel-9c0d11aa"), "{told}");
}

#[test]
fn a_secret_is_masked_in_a_content_coding_with_a_backslash_and_a_quote() {
    let told = told(r#"tk\"9c0d11aa"#, |conn| conn.answer(200, &[("content-encoding", r#"tk\"9c0d11aa"#)], "x"));
    assert!(!told.contains("9c0d11aa"), "{told}");
}

#[test]
fn a_refusal_that_breaks_off_within_a_secret_shows_no_long_part_of_it() {
    let told = told("x", |conn| {
        conn.head(401, &[], Framing::Length(1000));
        conn.body(format!("bad key {}", &KEY[..KEY.len() - 1]));
        conn.cut();
    });
    assert!(!told.contains(&KEY[..12]), "{told}");
}

#[test]
fn nonsense_that_comes_in_two_reads_shows_no_long_part_of_a_secret() {
    let told = told("x", |conn| {
        conn.head(200, &[], Framing::Length(1000));
        conn.body(format!("bad key {}", &KEY[..KEY.len() - 1]));
        conn.wait_until_read();
        conn.body(&KEY[KEY.len() - 1..]);
        conn.cut();
    });
    assert!(!told.contains(&KEY[..12]), "{told}");
}

#[test]
fn a_key_in_the_path_of_base_url_is_masked_in_the_report() {
    let server = Server::new(|_, conn| conn.json(200, completion("Hello")));
    let url = format!("{}/{KEY}/v1", server.origin());
    Client::with(&server, json!({"base_url": url})).ask(ASK); // looks by itself
}

#[test]
fn a_header_value_in_the_path_of_base_url_is_masked_in_the_log() {
    let server = Server::new(|_, conn| conn.json(200, completion("Hello")));
    let url = format!("{}/acct-77c1e0/v1", server.origin());
    let client = Client::with(&server, json!({"base_url": url, "headers": {"x-account": "acct-77c1e0"}}));
    client.ask(ASK).ok();
    assert!(!client.logs().concat().contains("acct-77c1e0"), "{:?}", client.logs());
}

#[test]
fn a_number_where_a_secret_belongs_is_not_repeated() {
    for config in [json!({"api_key": 90210775431u64}), json!({"headers": {"x-token": 90210775431u64}})] {
        let message = refused(config);
        assert!(!message.contains("90210775431"), "{message}");
    }
}

#[test]
fn a_key_in_a_certificates_pem_is_not_told_in_numbers() {
    let pair = ours().client();
    let combined = format!("{}{}", pair.key_pem, pair.cert_pem).replace('\n', " ");
    let message = refused(json!({"tls": {"client_cert_pem": combined, "client_key_pem": pair.key_pem}}));
    let bytes: Vec<String> =
        pair.key_pem.lines().nth(1).unwrap().bytes().take(12).map(|byte| byte.to_string()).collect();
    assert!(!message.contains(&bytes.join(", ")), "{message}");
}

#[test]
fn a_key_without_its_begin_line_is_not_repeated_as_the_name_of_a_file() {
    let pair = ours().client();
    let bare: String = pair.key_pem.lines().filter(|line| !line.starts_with("---")).collect();
    let message = refused(json!({"tls": {"client_cert_pem": pair.cert_pem, "client_key_file": bare}}));
    assert!(!message.contains(&bare[..24]), "{message}");
}

#[test]
fn the_user_info_of_a_redirect_without_a_scheme_is_not_shown() {
    let told = told("x", |conn| conn.answer(302, &[("location", "//someone:hunter2@elsewhere.example/")], ""));
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn a_secret_is_masked_where_a_url_escapes_it() {
    let told = told("tk/9c0d11aa+b=", |conn| {
        conn.answer(302, &[("location", "https://a.example/?k=tk%2F9c0d11aa%2Bb%3D")], "")
    });
    assert!(!told.contains("9c0d11aa"), "{told}");
}

#[test]
fn a_secret_is_masked_where_html_escapes_it() {
    let told = told("tk&9c0d11aa", |conn| conn.answer(500, &[], "<title>tk&amp;9c0d11aa</title>"));
    assert!(!told.contains("9c0d11aa"), "{told}");
}

#[test]
fn a_secret_is_masked_in_json_inside_of_json() {
    let told = told(r#"tk"9c0d11aa"#, |conn| {
        let inner = json!({"error": r#"tk"9c0d11aa"#}).to_string();
        conn.json(500, json!({"error": {"message": inner}}).to_string());
    });
    assert!(!told.contains("9c0d11aa"), "{told}");
}

#[test]
fn one_cookie_of_several_is_a_secret_too() {
    let server = Server::new(|_, conn| conn.answer(400, &[], "bad session=9c0d11aa"));
    let client = Client::with(&server, json!({"headers": {"Cookie": "session=9c0d11aa; theme=dark"}}));
    let told = all(&client.ask(ASK));
    assert!(!told.contains("9c0d11aa"), "{told}");
}

#[test]
fn the_password_inside_basic_credentials_is_a_secret_too() {
    // user:hunter22-9c0d11aa
    let told =
        told("Basic dXNlcjpodW50ZXIyMi05YzBkMTFhYQ==", |conn| conn.answer(401, &[], "hunter22-9c0d11aa is wrong"));
    assert!(!told.contains("9c0d11aa"), "{told}");
}

#[test]
fn a_secret_in_other_capitals_is_masked() {
    let told = told("Tenant-9C0D11AA", |conn| conn.answer(400, &[("x-request-id", "tenant-9c0d11aa")], ""));
    assert!(!told.contains("9c0d11aa"), "{told}");
}

#[test]
fn debug_output_of_the_settings_shows_no_secret_of_a_fallback() {
    let text = r#"{"helicone":{"fallbacks":[{"headers":{"Authorization":"Bearer hunter2-b"}}]}}"#;
    let config = helio::config::Config::read(Some(text), &|_| None).unwrap_or_else(|failure| panic!("{failure:?}"));
    assert!(!format!("{:?}", config.settings).contains("hunter2-b"), "{:?}", config.settings);
}
