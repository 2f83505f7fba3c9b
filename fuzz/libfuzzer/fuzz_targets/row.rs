//! libFuzzer's program for [`weir_fuzz::targets::row`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::targets::row(data));
