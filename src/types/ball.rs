//! `phash_ball`: every hash within a radius of a centre, the right operand of `<@`.

use super::error::ValueError;
use crate::pg::fmgr::datum::{CString, Phash, PhashBall, Raw, Varlena};
use crate::pg::fmgr::encoding;
use crate::pg::fmgr::message;
use crate::pg::fmgr::raise::OrRaise;
use crate::pg::version;
use lumina_hash::MAX_BYTES;
use lumina_hash::ball::{Ball, BallError};
use pgrx::pg_sys::{FunctionCallInfo, Oid};
use pgrx::prelude::*;
use std::ffi::CStr;

/// Reads `<hex,radius>`. Errors: 22P02.
#[pg_extern(sql = false)]
fn phash_ball_in(text: &CStr, _element: Oid, _modifier: i32, fcinfo: FunctionCallInfo) -> Raw {
    let mut buffer = [0; MAX_BYTES];
    let parsed = str::from_utf8(text.to_bytes()).map_err(|_| BallError::Form);
    match parsed.and_then(|text| Ball::parse(text, &mut buffer)) {
        Ok(ball) => Raw(Varlena::new(&[&ball.to_binary()]).into_datum()),
        Err(why) => {
            let error = ValueError::BallText { text: encoding::printable(text), why };
            Raw(version::raise_softly(error.into(), fcinfo))
        }
    }
}

/// Writes `<hex,radius>`.
#[pg_extern(sql = false)]
fn phash_ball_out(ball: PhashBall<'_>) -> CString {
    CString::new(&ball.0.to_string())
}

/// Reads the radius as an int4 and the centre's bytes. Errors: 22P03.
#[pg_extern(sql = false)]
fn phash_ball_recv(message: Raw, _element: Oid, _modifier: i32) -> Varlena {
    let ball = Ball::from_binary(message::rest(message)).map_err(ValueError::BallBinary).or_raise();
    Varlena::new(&[&ball.to_binary()])
}

/// Writes the radius as an int4 and the centre's bytes.
#[pg_extern(sql = false)]
fn phash_ball_send(ball: PhashBall<'_>) -> Varlena {
    Varlena::new(&[&ball.0.to_binary()])
}

/// The ball of all hashes within `radius` of `center`. Errors: 22003.
#[pg_extern(sql = false)]
fn phash_ball(center: Phash<'_>, radius: i32) -> Varlena {
    Varlena::new(&[&Ball::new(center.0, i64::from(radius)).or_raise().to_binary()])
}

/// The ball that `phash_within` searches: none for a negative radius, and never wider than the hash. Never raises.
#[pg_extern(sql = false)]
fn phash_search_ball(center: Phash<'_>, radius: i32) -> Option<Varlena> {
    let radius = i64::from(radius).min(center.bits() as i64);
    Some(Varlena::new(&[&Ball::new(center.0, radius).ok()?.to_binary()]))
}

/// The centre of a ball.
#[pg_extern(sql = false)]
fn phash_ball_center(ball: PhashBall<'_>) -> Varlena {
    Varlena::new(&[ball.0.center()])
}

/// The radius of a ball.
#[pg_extern(sql = false)]
fn phash_ball_radius(ball: PhashBall<'_>) -> i32 {
    ball.0.radius() as i32
}
