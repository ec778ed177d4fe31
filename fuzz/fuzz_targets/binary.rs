//! The readers of binary messages: what is accepted is a valid value and is written back byte for byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lumina_hash::ball::Ball;
use lumina_hash::{MAX_BYTES, width};

fuzz_target!(|message: &[u8]| {
    assert_eq!(width::check_bytes(message).is_ok(), (1..=MAX_BYTES).contains(&message.len()));
    if let Ok(ball) = Ball::from_binary(message) {
        assert!(ball.radius() as usize <= ball.center().len() * 8);
        assert!((1..=MAX_BYTES).contains(&ball.center().len()));
        assert_eq!(ball.to_binary(), message);
        assert!(ball.contains(ball.center()));
    }
});
