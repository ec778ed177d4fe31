//! The readers of text: what is accepted is written back as the same hash or ball, and nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lumina_hash::ball::Ball;
use lumina_hash::{MAX_BYTES, hex};

fuzz_target!(|text: &[u8]| {
    let mut buffer = [0; MAX_BYTES];
    if let Ok(hash) = hex::decode_bytes(text, &mut buffer) {
        assert!((1..=MAX_BYTES).contains(&hash.len()));
        assert_eq!(hex::to_string(hash).as_bytes(), text.to_ascii_lowercase());
    }
    let text = String::from_utf8_lossy(text);
    let mut buffer = [0; MAX_BYTES];
    if let Ok(ball) = Ball::parse(&text, &mut buffer) {
        assert!(ball.radius() as usize <= ball.center().len() * 8);
        assert_eq!(Ball::parse(&ball.to_string(), &mut [0; MAX_BYTES]), Ok(ball));
    }
});
