//! OpenAI's. It numbered its tiers until some day between 24 September and 8 October 2026; since then they are Build,
//! Launch and Grow.

use super::{Preset, SEED};

/// The tokens are in the second as well; the first, in a copy with the same tokens, has the requests.
const GPT_5: &str =
    "https://platform.openai.com/docs/models/gpt-5, https://simonwillison.net/2025/Sep/12/gpt-5-rate-limits/";
const GPT_5_MINI: &str = "https://platform.openai.com/docs/models/gpt-5-mini";
const GPT_4O: &str = "https://developers.openai.com/api/docs/models/gpt-4o";
const GPT_4O_MINI: &str = "https://developers.openai.com/api/docs/models/gpt-4o-mini";
const GPT_6_1_SOL: &str = "https://developers.openai.com/api/docs/models/gpt-6.1-sol";

const fn seed(name: &'static str, description: &'static str) -> Preset {
    Preset::new(name, "OpenAI", description, SEED, "2024")
}

const fn gpt_5(name: &'static str, description: &'static str) -> Preset {
    Preset::new(name, "OpenAI", description, GPT_5, "2025-09-12")
}

const fn gpt_5_mini(name: &'static str, description: &'static str) -> Preset {
    Preset::new(name, "OpenAI", description, GPT_5_MINI, "2025-11-27")
}

const fn gpt_4o(name: &'static str, description: &'static str) -> Preset {
    Preset::new(name, "OpenAI", description, GPT_4O, "2026-09-24")
}

const fn gpt_4o_mini(name: &'static str, description: &'static str) -> Preset {
    Preset::new(name, "OpenAI", description, GPT_4O_MINI, "2026-09-24")
}

const fn gpt_6_1_sol(name: &'static str, description: &'static str) -> Preset {
    Preset::new(name, "OpenAI", description, GPT_6_1_SOL, "2026-10-08")
}

#[rustfmt::skip]
pub(super) const PRESETS: &[Preset] = &[
    seed("openai-free", "free tier, any model").aliases(&["OPENAI_FREE"]).at_once(3).requests(3),
    seed("openai-tier-1", "tier 1, any model").aliases(&["OPENAI_TIER1"]).at_once(5).requests(60),
    seed("openai-tier-2", "tier 2, any model").aliases(&["OPENAI_TIER2"]).at_once(10).requests(500),
    seed("openai-tier-3", "tier 3, any model").aliases(&["OPENAI_TIER3"]).at_once(15).requests(5_000),
    seed("openai-tier-4", "tier 4, any model").aliases(&["OPENAI_TIER4"]).at_once(20).requests(10_000),
    seed("openai-tier-5", "tier 5, any model").aliases(&["OPENAI_TIER5"]).at_once(30).requests(30_000),

    gpt_4o("openai-gpt-4o-tier-1", "gpt-4o, tier 1").requests(500).tokens(30_000),
    gpt_4o("openai-gpt-4o-tier-2", "gpt-4o, tier 2").requests(5_000).tokens(450_000),
    gpt_4o("openai-gpt-4o-tier-3", "gpt-4o, tier 3").requests(5_000).tokens(800_000),
    gpt_4o("openai-gpt-4o-tier-4", "gpt-4o, tier 4").requests(10_000).tokens(2_000_000),
    gpt_4o("openai-gpt-4o-tier-5", "gpt-4o, tier 5").requests(10_000).tokens(30_000_000),

    gpt_4o_mini("openai-gpt-4o-mini-tier-1", "gpt-4o-mini, tier 1").requests(500).daily(10_000).tokens(200_000),
    gpt_4o_mini("openai-gpt-4o-mini-tier-2", "gpt-4o-mini, tier 2").requests(5_000).tokens(2_000_000),
    gpt_4o_mini("openai-gpt-4o-mini-tier-3", "gpt-4o-mini, tier 3").requests(5_000).tokens(4_000_000),
    gpt_4o_mini("openai-gpt-4o-mini-tier-4", "gpt-4o-mini, tier 4").requests(10_000).tokens(10_000_000),
    gpt_4o_mini("openai-gpt-4o-mini-tier-5", "gpt-4o-mini, tier 5").requests(30_000).tokens(150_000_000),

    gpt_5("openai-gpt-5-tier-1", "gpt-5, tier 1").requests(500).tokens(500_000),
    gpt_5("openai-gpt-5-tier-2", "gpt-5, tier 2").requests(5_000).tokens(1_000_000),
    gpt_5("openai-gpt-5-tier-3", "gpt-5, tier 3").requests(5_000).tokens(2_000_000),
    gpt_5("openai-gpt-5-tier-4", "gpt-5, tier 4").requests(10_000).tokens(4_000_000),
    gpt_5("openai-gpt-5-tier-5", "gpt-5, tier 5").requests(15_000).tokens(40_000_000),

    gpt_5_mini("openai-gpt-5-mini-tier-1", "gpt-5-mini, tier 1").requests(500).tokens(500_000),
    gpt_5_mini("openai-gpt-5-mini-tier-2", "gpt-5-mini, tier 2").requests(5_000).tokens(2_000_000),
    gpt_5_mini("openai-gpt-5-mini-tier-3", "gpt-5-mini, tier 3").requests(5_000).tokens(4_000_000),
    gpt_5_mini("openai-gpt-5-mini-tier-4", "gpt-5-mini, tier 4").requests(10_000).tokens(10_000_000),
    gpt_5_mini("openai-gpt-5-mini-tier-5", "gpt-5-mini, tier 5").requests(30_000).tokens(180_000_000),

    gpt_6_1_sol("openai-gpt-6.1-sol-build", "gpt-6.1-sol, Build tier").requests(5_000).tokens(1_000_000),
    gpt_6_1_sol("openai-gpt-6.1-sol-launch", "gpt-6.1-sol, Launch tier").requests(10_000).tokens(4_000_000),
    gpt_6_1_sol("openai-gpt-6.1-sol-grow", "gpt-6.1-sol, Grow tier").requests(15_000).tokens(40_000_000),
];
