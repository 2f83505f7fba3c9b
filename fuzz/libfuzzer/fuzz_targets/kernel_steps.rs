//! libFuzzer's program for [`weir_fuzz::targets::kernel_steps`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::targets::kernel_steps(data));
