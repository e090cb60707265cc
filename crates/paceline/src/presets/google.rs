//! Google's. Its documentation gave numbers by model until 2025; since 2026 only AI Studio shows them, to each project
//! its own.

use super::{Preset, SEED};

const PAGE: &str = "https://ai.google.dev/gemini-api/docs/rate-limits";
const AI_STUDIO: &str = "https://aistudio.google.com/rate-limit, as one free project saw it";

const fn seed(name: &'static str, description: &'static str) -> Preset {
    Preset::new(name, "Google", description, SEED, "2025")
}

const fn free(name: &'static str, description: &'static str) -> Preset {
    Preset::new(name, "Google", description, AI_STUDIO, "2026-09-12")
}

#[rustfmt::skip]
pub(super) const PRESETS: &[Preset] = &[
    seed("google-free", "free tier, any model").aliases(&["GOOGLE_FREE"]).at_once(2).requests(15),
    seed("google-pay-as-you-go", "pay as you go, any model")
        .aliases(&["GOOGLE_PAY_AS_YOU_GO", "google_paid"]).at_once(10).requests(1_000),

    Preset::new("google-gemini-2.5-flash-free-2025", "Google", "gemini-2.5-flash, free tier, until December 2025", PAGE, "2025-10-27")
        .requests(10).daily(250).input(250_000),
    free("google-gemini-2.5-flash-free", "gemini-2.5-flash, free tier").requests(5).daily(20).input(250_000),
    free("google-gemini-2.5-flash-lite-free", "gemini-2.5-flash-lite, free tier").requests(10).daily(20).input(250_000),
    free("google-gemini-3.5-flash-lite-free", "gemini-3.5-flash-lite, free tier").requests(15).daily(500).input(250_000),
    free("google-gemini-3.8-flash-free", "gemini-3.8-flash, free tier").requests(5).daily(20).input(250_000),
];
