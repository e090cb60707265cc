//! Anthropic's. On 26 June 2026 its numbered tiers became Start, Build and Scale. "Build" was in its plan names before,
//! too, and PocketFlow Throttled calls build tier 3 `ANTHROPIC_SCALE`: that name stays where it was, and the Scale tier
//! of today is `anthropic-scale-tier`.

use super::{Preset, SEED};

const NUMBERED: &str = "https://docs.anthropic.com/en/api/rate-limits";
const NAMED: &str = "https://platform.claude.com/docs/en/api/rate-limits";

const fn seed(name: &'static str, description: &'static str) -> Preset {
    Preset::new(name, "Anthropic", description, SEED, "2025")
}

const fn sonnet_4(name: &'static str, description: &'static str) -> Preset {
    Preset::new(name, "Anthropic", description, NUMBERED, "2025-11-08")
}

const fn tier(name: &'static str, description: &'static str) -> Preset {
    Preset::new(name, "Anthropic", description, NAMED, "2026-10-08")
}

const fn fable(name: &'static str, description: &'static str) -> Preset {
    Preset::new(name, "Anthropic", description, NAMED, "2026-06-26")
}

#[rustfmt::skip]
pub(super) const PRESETS: &[Preset] = &[
    seed("anthropic-free", "free tier, any model").aliases(&["ANTHROPIC_FREE"]).at_once(2).requests(5),
    seed("anthropic-build-tier-1", "build tier 1, any model")
        .aliases(&["ANTHROPIC_BUILD_TIER1", "ANTHROPIC_STANDARD", "anthropic_tier1"]).at_once(5).requests(50),
    seed("anthropic-build-tier-2", "build tier 2, any model")
        .aliases(&["ANTHROPIC_BUILD_TIER2", "anthropic_tier2"]).at_once(10).requests(1_000),
    seed("anthropic-build-tier-3", "build tier 3, any model (not the Scale tier of 2026)")
        .aliases(&["ANTHROPIC_BUILD_TIER3", "ANTHROPIC_SCALE", "anthropic_tier3"]).at_once(15).requests(2_000),
    seed("anthropic-build-tier-4", "build tier 4, any model")
        .aliases(&["ANTHROPIC_BUILD_TIER4", "anthropic_tier4"]).at_once(20).requests(4_000),

    sonnet_4("anthropic-sonnet-4-tier-1", "Sonnet 4.x, tier 1, until June 2026")
        .requests(50).input(30_000).output(8_000),
    sonnet_4("anthropic-sonnet-4-tier-2", "Sonnet 4.x, tier 2, until June 2026")
        .requests(1_000).input(450_000).output(90_000),
    sonnet_4("anthropic-sonnet-4-tier-3", "Sonnet 4.x, tier 3, until June 2026")
        .requests(2_000).input(800_000).output(160_000),
    sonnet_4("anthropic-sonnet-4-tier-4", "Sonnet 4.x, tier 4, until June 2026")
        .requests(4_000).input(2_000_000).output(400_000),

    tier("anthropic-start", "Start tier since June 2026: Sonnet, Opus and Haiku, each model by itself")
        .aliases(&["anthropic-start-tier", "anthropic-sonnet-start", "anthropic-opus-start", "anthropic-haiku-start"])
        .requests(1_000).input(2_000_000).output(400_000),
    tier("anthropic-build", "Build tier since June 2026: Sonnet, Opus and Haiku, each model by itself")
        .aliases(&["anthropic-build-tier", "anthropic-sonnet-build", "anthropic-opus-build", "anthropic-haiku-build"])
        .requests(5_000).input(5_000_000).output(1_000_000),
    tier("anthropic-scale-tier", "Scale tier since June 2026: Sonnet, Opus and Haiku, each model by itself")
        .aliases(&["anthropic-sonnet-scale", "anthropic-opus-scale", "anthropic-haiku-scale"])
        .requests(10_000).input(10_000_000).output(2_000_000),

    fable("anthropic-fable-5-start", "Fable 5.x, Start tier").requests(1_000).input(500_000).output(100_000),
    fable("anthropic-fable-5-build", "Fable 5.x, Build tier").requests(2_000).input(1_500_000).output(300_000),
    fable("anthropic-fable-5-scale", "Fable 5.x, Scale tier").requests(4_000).input(4_000_000).output(800_000),
];
