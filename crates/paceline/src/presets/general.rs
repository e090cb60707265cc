//! For a provider that is not here, and for scraping. Nobody's limits: habits.

use super::{Preset, SEED};

const fn any(name: &'static str, description: &'static str) -> Preset {
    Preset::new(name, "any", description, SEED, "2025")
}

const fn web(name: &'static str, description: &'static str) -> Preset {
    Preset::new(name, "web", description, SEED, "2025")
}

#[rustfmt::skip]
pub(super) const PRESETS: &[Preset] = &[
    any("conservative", "little, for an unknown limit").aliases(&["CONSERVATIVE"]).at_once(2).requests(20),
    any("moderate", "a middle way").aliases(&["MODERATE"]).at_once(5).requests(60),
    any("aggressive", "much, where the limit is known to be high").aliases(&["AGGRESSIVE"]).at_once(10).requests(200),
    any("unlimited", "many at once, no rate").aliases(&["UNLIMITED_CONCURRENT"]).at_once(50),

    web("scraping-polite", "scraping a small site").aliases(&["SCRAPING_POLITE"]).at_once(2).requests(10),
    web("scraping-moderate", "scraping, moderate").aliases(&["SCRAPING_MODERATE"]).at_once(5).requests(30),
    web("scraping-aggressive", "scraping a site that can take it").aliases(&["SCRAPING_AGGRESSIVE"]).at_once(10).requests(60),
];
