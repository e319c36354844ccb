//! Numbers drawn at random, the same again from the same seed.

use std::time::Duration;

/// splitmix64.
pub struct Dice(pub u64);

impl Dice {
    pub fn of(seed: u64, what: impl IntoIterator<Item = usize>) -> Dice {
        let mut dice = Dice(seed);
        for part in what {
            dice.0 = dice.next() ^ part as u64;
        }
        dice
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e3779b97f4a7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d049bb133111eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub fn upto_ms(&mut self, count: usize) -> Duration {
        Duration::from_millis(self.below(count + 1) as u64)
    }

    /// Of characters that JSON, event streams and UTF-8 make something special of.
    pub fn text(&mut self, most: usize) -> String {
        const PARTS: [&str; 18] = [
            "a", "e", " ", "\n", "\"", "\\", "/", "\t", "\u{0}", "\u{1f}", "é", "海", "😀", "\u{2028}", "data: ",
            "[DONE]", "{", "}",
        ];
        (0..self.below(most + 1)).map(|_| PARTS[self.below(PARTS.len())]).collect()
    }

    /// Cuts a text into pieces, some of them empty.
    pub fn pieces(&mut self, text: &str) -> Vec<String> {
        let mut pieces = vec![String::new()];
        for character in text.chars() {
            while self.one_in(4) {
                pieces.push(String::new());
            }
            pieces.last_mut().expect("one").push(character);
        }
        pieces
    }
}

/// The seed of a test, which `HELIO_TEST_SEED` takes the place of. Says which it was when the test fails.
pub struct Seed(pub u64);

impl Seed {
    pub fn of_process() -> Seed {
        let named = std::env::var("HELIO_TEST_SEED");
        Seed(named.map_or(0x68656c696f, |seed| seed.parse().expect("a number")))
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed: HELIO_TEST_SEED={}", self.0);
        }
    }
}
