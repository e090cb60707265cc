#![no_main]

use libfuzzer_sys::fuzz_target;
use paceline_core::headers::Dialect;

fuzz_target!(|bytes: &[u8]| paceline_core_fuzz::answer(Dialect::Ietf, bytes));
