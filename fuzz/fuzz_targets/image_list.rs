//! Image lists of all kinds, as releases publish them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seedkit::imagelist::ImageList;

fuzz_target!(|bytes: &[u8]| {
    let mut list = ImageList::default();
    let _refused = list.add_text("images.txt", bytes, &[]);
    let _same_again = list.add_text("other.txt", bytes, &["group".to_owned()]);
});
