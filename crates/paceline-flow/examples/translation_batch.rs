//! A batch of translations in one node: five at once, twenty a second, results in the order of the texts.
//!
//! The provider behind real HTTP allows exactly that and refuses what is above. It prints what it saw: nothing to refuse. It takes
//! about three seconds, which is what 60 calls at 20 a second take.
//!
//! `cargo run -p paceline-flow --example translation_batch`

#[path = "support/provider.rs"]
mod provider;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use paceline::{Anchor, Quota, Retry};
use paceline_flow::{Action, Cx, Graph, Limits, Node, Result};
use paceline_mock::{Latency, LimitKey, MockConfig, MockLimit};
use provider::Provider;

const LANGUAGES: [&str; 5] = ["Chinese", "French", "German", "Japanese", "Spanish"];

struct Shared {
    provider: Provider,
    texts: Vec<String>,
    translations: Mutex<Vec<((String, &'static str), String)>>,
}

struct Translate;

impl Node for Translate {
    type Shared = Shared;
    type Params = ();
    type Item = (String, &'static str);
    type Output = String;

    async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<Self::Item>> {
        let texts = cx.shared.texts.iter();
        Ok(texts.flat_map(|text| LANGUAGES.map(|language| (text.clone(), language))).collect())
    }

    async fn exec(&self, cx: Cx<'_, Self>, (text, language): &Self::Item) -> Result<String> {
        cx.shared.provider.chat(&format!("Translate into {language}: {text}")).await
    }

    async fn post(&self, cx: Cx<'_, Self>, items: Vec<Self::Item>, translations: Vec<String>) -> Result<Action> {
        cx.shared.translations.lock().unwrap().extend(items.into_iter().zip(translations));
        Ok(Action::DEFAULT)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let config = MockConfig {
        limits: vec![MockLimit::new(LimitKey::Requests, 20, Duration::from_secs(1))],
        concurrency: Some(5),
        latency: Latency::LogNormal { median: Duration::from_millis(60), sigma: 0.5 },
        ..MockConfig::default()
    };
    let shared = Shared {
        provider: Provider::start("provider", config).await?,
        texts: (1..=12).map(|number| format!("text {number}")).collect(),
        translations: Mutex::default(),
    };

    // A service counts a call when it arrives, which is between its admission here and its answer: a call that stands in the
    // window until one second after its answer stood in the service's for as long.
    let quota = Quota::per_second(20).anchor(Anchor::Completion);
    let mut graph = Graph::new();
    let translate = graph.add(Translate, Limits::concurrent(5).calls(quota).retry(Retry::attempts(3)));
    let flow = graph.start(translate)?;
    println!("{}", flow.effective_limits());

    let began = Instant::now();
    flow.run(&shared, ()).await?;

    let translations = shared.translations.into_inner()?;
    println!("{} translations in {:.1?}", translations.len(), began.elapsed());
    println!("{}", shared.provider);
    let in_order = translations.iter().map(|((_, language), _)| *language).zip(LANGUAGES.into_iter().cycle());
    assert!(in_order.into_iter().all(|(language, expected)| language == expected));
    assert_eq!((translations.len(), shared.provider.seen().rejected), (60, 0));
    Ok(())
}
