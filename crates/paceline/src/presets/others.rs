//! Cohere's, Hugging Face's and Mistral's.

use super::{Preset, SEED};

const fn seed(name: &'static str, provider: &'static str, description: &'static str) -> Preset {
    Preset::new(name, provider, description, SEED, "2025")
}

#[rustfmt::skip]
pub(super) const PRESETS: &[Preset] = &[
    seed("cohere-trial", "Cohere", "trial key").aliases(&["COHERE_TRIAL"]).at_once(2).requests(20),
    seed("cohere-production", "Cohere", "production key").aliases(&["COHERE_PRODUCTION"]).at_once(10).requests(10_000),

    seed("huggingface-free", "Hugging Face", "inference API, free").aliases(&["HUGGINGFACE_FREE"]).at_once(1).requests(30),
    seed("huggingface-pro", "Hugging Face", "inference API, Pro").aliases(&["HUGGINGFACE_PRO"]).at_once(5).requests(1_000),

    seed("mistral-free", "Mistral", "free tier").aliases(&["MISTRAL_FREE"]).at_once(2).requests(30),
    seed("mistral-standard", "Mistral", "standard tier").aliases(&["MISTRAL_STANDARD"]).at_once(10).requests(500),
];
