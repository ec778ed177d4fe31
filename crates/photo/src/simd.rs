//! Loops that are also compiled for the vector instructions that this processor may have.
//!
//! The body of [`fastest!`] is plain Rust that the compiler vectorises; results are bit-identical, since Rust never
//! contracts or reorders floating-point arithmetic. Where the compiler does not vectorise well, intrinsics are used:
//!
//! - [`weigh`], [`vnni`]: weighted sums of pixels, for resizing.
//! - [`rgb`]: the brightness of a colour for each hash.
//! - [`columns`]: eight rows side by side, and box filters over them, for PDQ.

/// Declares a function whose body is compiled for several instruction sets; the widest available one runs. In it `FMA`
/// says whether a fused multiply-add is one instruction.
macro_rules! fastest {
    ($(#[$doc:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        #[allow(unsafe_code, reason = "calls of functions that need a feature of the processor")]
        $visibility fn $name($($argument: $type),*) {
            #[inline(always)]
            fn body<const FMA: bool>($($argument: $type),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn with_avx2($($argument: $type),*) {
                    body::<true>($($argument),*)
                }
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
                fn with_avx512($($argument: $type),*) {
                    body::<true>($($argument),*)
                }
                if is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                {
                    // SAFETY: the CPU features were detected.
                    return unsafe { with_avx512($($argument),*) };
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: the CPU features were detected.
                    return unsafe { with_avx2($($argument),*) };
                }
            }
            body::<false>($($argument),*)
        }
    };
}

pub(crate) use fastest;

pub(crate) mod columns;
pub(crate) mod rgb;
#[cfg(target_arch = "x86_64")]
mod vnni;
pub(crate) mod weigh;

/// A proof that the processor has AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
struct Avx2(());

#[cfg(target_arch = "x86_64")]
impl Avx2 {
    fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Avx2(()))
    }
}

/// `value / count`, with `reciprocal` the rounded 1 / `count`, for whole counts up to 512.
///
/// With FMA, the rounded product is corrected by its exact error (Markstein, "Computation of elementary functions on
/// the IBM RISC System/6000 processor", 1990, theorem 5), which is faster than division; a test tries all values.
#[inline(always)]
pub(crate) fn divide<const FMA: bool>(value: f32, count: f32, reciprocal: f32) -> f32 {
    if !FMA {
        return value / count;
    }
    let near = value * reciprocal;
    near.mul_add(-count, value).mul_add(reciprocal, near)
}

#[cfg(test)]
mod tests {
    use super::divide;

    fastest! {
        /// All 24 bits of a number; its exponent, and that of the count, do not matter.
        fn differs(count: f32, differs: &mut bool) {
            let reciprocal = 1.0 / count;
            let mut wrong = 0;
            for bits in 1 << 23..1 << 24 {
                let value = bits as f32;
                wrong |= (value / count).to_bits() ^ divide::<FMA>(value, count, reciprocal).to_bits();
            }
            *differs = wrong != 0;
        }
    }

    #[test]
    fn division_is_exact() {
        for count in (1..512).step_by(2).chain([1000]) {
            let mut wrong = true;
            differs(count as f32, &mut wrong);
            assert!(!wrong, "by {count}");
        }
    }
}
