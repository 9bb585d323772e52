#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| prover_fuzz::norm(bytes));
