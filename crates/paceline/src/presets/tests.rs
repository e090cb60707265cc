use std::collections::{HashMap, HashSet};

use super::{Preset, SEED, all, find, letters};

/// PARITY P10: the seed's name, at once, per minute.
#[rustfmt::skip]
const SEEDS: &[(&str, u64, Option<u64>)] = &[
    ("OPENAI_FREE", 3, Some(3)),
    ("OPENAI_TIER1", 5, Some(60)),
    ("OPENAI_TIER2", 10, Some(500)),
    ("OPENAI_TIER3", 15, Some(5_000)),
    ("OPENAI_TIER4", 20, Some(10_000)),
    ("OPENAI_TIER5", 30, Some(30_000)),
    ("ANTHROPIC_FREE", 2, Some(5)),
    ("ANTHROPIC_BUILD_TIER1", 5, Some(50)),
    ("ANTHROPIC_STANDARD", 5, Some(50)),
    ("ANTHROPIC_BUILD_TIER2", 10, Some(1_000)),
    ("ANTHROPIC_BUILD_TIER3", 15, Some(2_000)),
    ("ANTHROPIC_SCALE", 15, Some(2_000)),
    ("ANTHROPIC_BUILD_TIER4", 20, Some(4_000)),
    ("GOOGLE_FREE", 2, Some(15)),
    ("GOOGLE_PAY_AS_YOU_GO", 10, Some(1_000)),
    ("COHERE_TRIAL", 2, Some(20)),
    ("COHERE_PRODUCTION", 10, Some(10_000)),
    ("HUGGINGFACE_FREE", 1, Some(30)),
    ("HUGGINGFACE_PRO", 5, Some(1_000)),
    ("MISTRAL_FREE", 2, Some(30)),
    ("MISTRAL_STANDARD", 10, Some(500)),
    ("CONSERVATIVE", 2, Some(20)),
    ("MODERATE", 5, Some(60)),
    ("AGGRESSIVE", 10, Some(200)),
    ("UNLIMITED_CONCURRENT", 50, None),
    ("SCRAPING_POLITE", 2, Some(10)),
    ("SCRAPING_MODERATE", 5, Some(30)),
    ("SCRAPING_AGGRESSIVE", 10, Some(60)),
];

/// The dated family: name, requests, tokens, input tokens and output tokens a minute.
#[rustfmt::skip]
const DATED: &[(&str, [Option<u64>; 4])] = &[
    ("openai-gpt-5-tier-1", [Some(500), Some(500_000), None, None]),
    ("openai-gpt-5-tier-2", [Some(5_000), Some(1_000_000), None, None]),
    ("openai-gpt-5-tier-3", [Some(5_000), Some(2_000_000), None, None]),
    ("openai-gpt-5-tier-4", [Some(10_000), Some(4_000_000), None, None]),
    ("openai-gpt-5-tier-5", [Some(15_000), Some(40_000_000), None, None]),
    ("openai-gpt-5-mini-tier-1", [Some(500), Some(500_000), None, None]),
    ("openai-gpt-5-mini-tier-2", [Some(5_000), Some(2_000_000), None, None]),
    ("openai-gpt-5-mini-tier-3", [Some(5_000), Some(4_000_000), None, None]),
    ("openai-gpt-5-mini-tier-4", [Some(10_000), Some(10_000_000), None, None]),
    ("openai-gpt-5-mini-tier-5", [Some(30_000), Some(180_000_000), None, None]),
    ("openai-gpt-4o-tier-1", [Some(500), Some(30_000), None, None]),
    ("anthropic-sonnet-4-tier-1", [Some(50), None, Some(30_000), Some(8_000)]),
    ("anthropic-sonnet-4-tier-2", [Some(1_000), None, Some(450_000), Some(90_000)]),
    ("anthropic-sonnet-4-tier-3", [Some(2_000), None, Some(800_000), Some(160_000)]),
    ("anthropic-sonnet-4-tier-4", [Some(4_000), None, Some(2_000_000), Some(400_000)]),
    ("anthropic-start", [Some(1_000), None, Some(2_000_000), Some(400_000)]),
    ("anthropic-build", [Some(5_000), None, Some(5_000_000), Some(1_000_000)]),
    ("anthropic-scale-tier", [Some(10_000), None, Some(10_000_000), Some(2_000_000)]),
    ("google-gemini-2.5-flash-free-2025", [Some(10), None, Some(250_000), None]),
    ("google-gemini-2.5-flash-free", [Some(5), None, Some(250_000), None]),
];

fn limits(preset: &Preset) -> [Option<u64>; 6] {
    [
        preset.concurrency,
        preset.requests_per_minute,
        preset.tokens_per_minute,
        preset.input_tokens_per_minute,
        preset.output_tokens_per_minute,
        preset.requests_per_day,
    ]
}

#[test]
fn parity_p10_every_named_preset_has_the_seeds_numbers() {
    let mut seen = HashSet::new();
    for &(name, at_once, per_minute) in SEEDS {
        let preset = find(name).unwrap();
        assert_eq!(limits(preset), [Some(at_once), per_minute, None, None, None, None], "{name}");
        assert_eq!(preset.source, SEED, "{name}");
        assert!(preset.aliases.contains(&name), "{name} is not listed as an alias");
        seen.insert(preset.name);
    }
    assert_eq!(seen.len(), all().iter().filter(|preset| preset.source == SEED).count());
}

#[test]
fn parity_p10_aliases_are_the_presets_they_stand_for() {
    assert_eq!(find("anthropic-standard").unwrap().name, "anthropic-build-tier-1");
    assert_eq!(find("anthropic-scale").unwrap().name, "anthropic-build-tier-3");
    assert_eq!(find("anthropic_tier4").unwrap().name, "anthropic-build-tier-4");
    assert_eq!(find("google_paid").unwrap().name, "google-pay-as-you-go");
}

#[test]
fn parity_p10_lookup_takes_any_case_and_spelling() {
    for name in ["openai-tier-1", "OPENAI_TIER1", "OpenAI Tier 1", "openai_tier_1", " openaiTier1\t"] {
        assert_eq!(find(name).unwrap().name, "openai-tier-1", "{name:?}");
    }
    for preset in all() {
        for name in preset.names() {
            for spelled in [name.to_uppercase(), name.replace('-', "_"), name.replace('-', " "), name.replace('-', "")]
            {
                assert_eq!(find(&spelled), Ok(preset), "{spelled:?}");
            }
        }
    }
}

#[test]
fn parity_p10_an_unknown_name_lists_the_known() {
    let error = find("nonesuch\n").unwrap_err();
    assert_eq!(error.asked(), "nonesuch\n");
    assert_eq!(error.closest(), None);
    let message = error.to_string();
    assert!(message.starts_with("unknown preset \"nonesuch\\n\". Known presets: openai-free, "), "{message}");
    for preset in all() {
        assert!(message.contains(preset.name), "{} is not in {message}", preset.name);
    }
}

#[test]
fn a_near_miss_is_proposed() {
    let error = find("openai-teir-1").unwrap_err();
    assert_eq!(error.closest(), Some("openai-tier-1"));
    let message = error.to_string();
    assert!(
        message.starts_with(r#"unknown preset "openai-teir-1"; did you mean "openai-tier-1"? Known presets: "#),
        "{message}"
    );
    assert_eq!(find("agressive").unwrap_err().closest(), Some("aggressive"));
    assert_eq!(find("ANTHROPIC_STANDART").unwrap_err().closest(), Some("anthropic-build-tier-1"));
    for far in ["", "---", "x", "gemini", &"openai-tier-1".repeat(100_000)] {
        assert_eq!(find(far).unwrap_err().closest(), None);
    }
}

#[test]
fn dated_presets_have_the_published_numbers() {
    for &(name, [requests, tokens, input, output]) in DATED {
        let preset = find(name).unwrap();
        assert_eq!(preset.name, name);
        assert_eq!(limits(preset)[..5], [None, requests, tokens, input, output], "{name}");
    }
}

#[test]
fn no_name_or_alias_stands_for_two_presets() {
    let mut owners = HashMap::new();
    for preset in all() {
        for name in preset.names() {
            let owner = *owners.entry(letters(name).collect::<String>()).or_insert(preset.name);
            assert_eq!(owner, preset.name, "{name}");
        }
    }
}

#[test]
fn every_preset_has_a_source_a_date_and_a_limit() {
    for preset in all() {
        assert!(preset.source == SEED || preset.source.starts_with("https://"), "{preset:?}");
        let parts: Vec<&str> = preset.date.split('-').collect();
        assert!(matches!(parts.len(), 1 | 3), "{preset:?}");
        assert!(parts.iter().zip([4, 2, 2]).all(|(part, digits)| part.len() == digits), "{preset:?}");
        assert!(parts.iter().all(|part| part.parse::<u16>().is_ok_and(|part| part > 0)), "{preset:?}");
        assert!(preset.source == SEED || parts.len() == 3, "{preset:?}");

        assert!(limits(preset).iter().flatten().next().is_some(), "{preset:?}");
        assert!(limits(preset).iter().flatten().all(|&limit| limit > 0), "{preset:?}");
        assert!(!preset.description.is_empty() && !preset.description.contains('\n'), "{preset:?}");
        assert!(
            preset.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.')),
            "{preset:?}"
        );
    }
}

#[test]
fn presets_are_listed_provider_by_provider() {
    let mut providers: Vec<&str> = all().iter().map(|preset| preset.provider).collect();
    providers.dedup();
    assert_eq!(providers, ["OpenAI", "Anthropic", "Google", "Cohere", "Hugging Face", "Mistral", "any", "web"]);
}
