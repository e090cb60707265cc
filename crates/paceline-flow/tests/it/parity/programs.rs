//! The programs of the cookbooks.

use std::path::Path;

/// Each program of the seeds, and the example that does the same; the checks run all of them to their end.
const PROGRAMS: &[(&str, &str)] = &[
    ("main.py: a batch of translations", "translation_batch"),
    ("adaptive_example.py", "adaptive"),
    ("presets_example.py", "presets"),
    ("flow_throttle_example.py", "flow_throttling"),
    ("shared_limiter_example.py", "shared_limiter"),
    ("parameterised flows: limits by region", "regional_flows"),
    ("parameterised flows: limits by tenant", "tenants"),
    ("skill 07: nested throttling of documents", "nested_throttling"),
    ("skill 07: a limit for each stage", "multi_stage"),
    ("skill 07: an adaptive flow with fixed nodes", "adaptive_flow"),
    ("skill 07: a fixed flow with adaptive nodes", "adaptive_nodes"),
    ("skill 04: a node's own limits within a global one", "three_layers"),
    ("skill 04: limits by environment", "environment"),
    ("Concurry: a pool of regions", "region_pool"),
    ("Concurry: connections to a database", "database_pool"),
    ("Amorsize: web scraping with retries", "web_scraping"),
    ("Amorsize: several tiers", "multi_tier"),
];

#[test]
fn parity_p18_every_program_of_the_cookbooks_has_its_example() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for (program, example) in PROGRAMS {
        let source = std::fs::read_to_string(examples.join(example).with_extension("rs"));
        let source = source.unwrap_or_else(|error| panic!("{example}.rs, for {program}: {error}"));
        assert!(source.contains("fn main"), "{example}.rs is a program");
        assert!(source.starts_with("//!"), "{example}.rs says what it shows");
    }
}
