//! The comparer itself can fail: a test that cannot fail proves nothing.

use crate::trials::{
    compare::{EXACT, POINTWISE, difference, of_largest, sum, widen},
    kernels::Noise,
};

#[test]
fn one_perturbed_number_is_seen() {
    let got = Noise::new(1).numbers(1000);
    let want = widen(&got);
    for tolerance in [EXACT, POINTWISE, sum(1), sum(1000), of_largest(1e-5, &want)] {
        assert_eq!(difference(&got, &want, tolerance), None);
        for at in [0, 499, 999] {
            let mut off = want.clone();
            off[at] += 2.0 * (tolerance.absolute + tolerance.relative * want[at].abs()) + 1e-9;
            assert!(difference(&got, &off, tolerance).unwrap().contains(&format!("element {at}:")));
        }
    }
}

#[test]
fn nan_and_missing_numbers_are_seen() {
    let want = [1.0, 2.0];
    assert!(difference(&[1.0, f32::NAN], &want, sum(1_000_000)).is_some());
    assert!(difference(&[1.0, f32::INFINITY], &want, sum(1_000_000)).is_some());
    assert!(difference(&[1.0], &want, sum(1_000_000)).is_some());
    assert_eq!(difference(&[1.0, 2.0], &want, EXACT), None);
}
