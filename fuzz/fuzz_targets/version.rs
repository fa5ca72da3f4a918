//! Versions of packages: an order without contradiction.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seedkit::deb::version::Version;

fuzz_target!(|text: &str| {
    let versions: Vec<Version> = text.split(' ').take(3).filter_map(|text| Version::parse(text).ok()).collect();
    for left in &versions {
        for right in &versions {
            assert_eq!(left.cmp(right), right.cmp(left).reverse(), "{left:?} and {right:?}");
        }
    }
    if let [first, second, third] = &versions[..] {
        assert!(!(first <= second && second <= third) || first <= third, "{versions:?}");
    }
});
