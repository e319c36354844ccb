//! Whether to try again, and when. Time and chance come in as values.

use std::time::SystemTime;

use ureq::http::HeaderMap;

use crate::config::Retry;

/// What the server wishes, in the headers of its refusal.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Wish {
    /// `x-should-retry`.
    pub should_retry: Option<bool>,
    /// `retry-after-ms` or `retry-after`, in milliseconds; a wish for nothing or for the past is none.
    pub delay_ms: Option<u64>,
}

impl Wish {
    /// Read it, at this time of day.
    pub fn read(headers: &HeaderMap, now: SystemTime) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let should_retry = match text("x-should-retry") {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        };
        let millis = |text: &str, unit: f64| {
            text.parse::<f64>().ok().map(|number| number * unit).filter(|ms| *ms > 0.0 && ms.is_finite())
        };
        let of_ms = text("retry-after-ms").and_then(|text| millis(text, 1.0));
        let of_seconds = text("retry-after").and_then(|text| millis(text, 1000.0).or_else(|| until(text, now)));
        Wish { should_retry, delay_ms: of_ms.or(of_seconds).map(|ms| ms.ceil() as u64) }
    }
}

/// Milliseconds until a date of HTTP.
fn until(date: &str, now: SystemTime) -> Option<f64> {
    let at = httpdate::parse_http_date(date).ok()?;
    Some(at.duration_since(now).ok()?.as_secs_f64() * 1000.0).filter(|ms| *ms > 0.0)
}

/// How long to wait before attempt number `attempt` + 1 (the first is 0), with `chance` from 0 to 1.
pub fn back_off_ms(retry: &Retry, attempt: u64, chance: f64) -> u64 {
    let doubled = u32::try_from(attempt).ok().and_then(|attempt| 2u64.checked_pow(attempt)).unwrap_or(u64::MAX);
    let wait = retry.base_ms.saturating_mul(doubled).min(retry.max_ms);
    wait - ((wait as f64) * retry.jitter * chance) as u64
}

/// What follows a failed attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Another attempt, after so many milliseconds.
    Again(u64),
    /// None. The host may try again after so many milliseconds, or it makes no sense.
    Never(Option<u64>),
}

/// What is known of a failed attempt.
#[derive(Clone, Copy, Debug)]
pub struct Failed {
    /// The contract's table retries it.
    pub by_table: bool,
    /// Whatever the server wishes: never again.
    pub is_final: bool,
    /// What the server wishes.
    pub wish: Wish,
    /// Which attempt it was, from 0.
    pub attempt: u64,
    /// What the whole call has left, in milliseconds.
    pub left_ms: Option<u64>,
}

/// Decide.
pub fn decide(retry: &Retry, failed: &Failed, chance: f64) -> Next {
    if failed.is_final || !failed.wish.should_retry.unwrap_or(failed.by_table) {
        return Next::Never(None);
    }
    let wait = failed.wish.delay_ms.unwrap_or_else(|| back_off_ms(retry, failed.attempt, chance));
    let too_long = failed.wish.delay_ms.is_some_and(|delay| delay > retry.max_server_delay_ms);
    let no_room = failed.left_ms.is_some_and(|left| wait >= left);
    if failed.attempt >= retry.max_retries || too_long || no_room { Next::Never(Some(wait)) } else { Next::Again(wait) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const RETRY: Retry =
        Retry { max_retries: 2, base_ms: 500, max_ms: 8000, jitter: 0.25, max_server_delay_ms: 60_000 };

    fn wish(headers: &[(&'static str, &str)]) -> Wish {
        let map = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Wish::read(&map, SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770))
    }

    #[test]
    fn the_servers_wish_is_read_in_all_its_forms() {
        let delay = |headers: &[(&'static str, &str)]| wish(headers).delay_ms;
        assert_eq!(delay(&[("retry-after", "7")]), Some(7000));
        assert_eq!(delay(&[("retry-after", "1.5")]), Some(1500));
        assert_eq!(delay(&[("retry-after", "7"), ("retry-after-ms", "1234")]), Some(1234));
        assert_eq!(delay(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]), Some(7000));
        for none in ["0", "-5", "soon", "", "Sun, 06 Nov 1994 08:49:00 GMT", "NaN", "inf"] {
            assert_eq!(delay(&[("retry-after", none)]), None, "{none:?}");
        }
        assert_eq!(wish(&[("x-should-retry", "false")]).should_retry, Some(false));
    }

    #[test]
    fn back_off_doubles_up_to_its_most_and_jitter_only_shortens() {
        let waits: Vec<u64> = (0..7).map(|attempt| back_off_ms(&RETRY, attempt, 0.0)).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 8000, 8000]);
        assert_eq!(back_off_ms(&RETRY, 0, 1.0), 375);
        assert_eq!(back_off_ms(&RETRY, 1000, 0.0), 8000);
    }

    #[test]
    fn the_table_decides_the_server_may_overrule_it_and_some_things_are_final() {
        let failed = Failed { by_table: true, is_final: false, wish: Wish::default(), attempt: 0, left_ms: None };
        assert_eq!(decide(&RETRY, &failed, 0.0), Next::Again(500));
        assert_eq!(decide(&RETRY, &Failed { attempt: 2, ..failed }, 0.0), Next::Never(Some(2000)));
        assert_eq!(decide(&RETRY, &Failed { by_table: false, ..failed }, 0.0), Next::Never(None));
        let wishes = |should_retry| Wish { should_retry, delay_ms: None };
        assert_eq!(decide(&RETRY, &Failed { wish: wishes(Some(false)), ..failed }, 0.0), Next::Never(None));
        assert_eq!(
            decide(&RETRY, &Failed { by_table: false, wish: wishes(Some(true)), ..failed }, 0.0),
            Next::Again(500)
        );
        assert_eq!(
            decide(&RETRY, &Failed { is_final: true, wish: wishes(Some(true)), ..failed }, 0.0),
            Next::Never(None)
        );
        assert_eq!(decide(&RETRY, &Failed { left_ms: Some(400), ..failed }, 0.0), Next::Never(Some(500)));
        let delay = |ms| Wish { should_retry: None, delay_ms: Some(ms) };
        assert_eq!(decide(&RETRY, &Failed { wish: delay(60_000), ..failed }, 0.0), Next::Again(60_000));
        assert_eq!(decide(&RETRY, &Failed { wish: delay(60_001), ..failed }, 0.0), Next::Never(Some(60_001)));
    }
}
