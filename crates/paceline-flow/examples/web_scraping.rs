//! Scraping politely: a site's pages, two at once and ten a minute, with what fails tried again, and what is missing left out.
//!
//! Some pages answer 503 at first, and one is gone. It prints which, and that retries, too, kept to the site's limits.
//!
//! `cargo run -p paceline-flow --example web_scraping`

#[path = "support/service.rs"]
mod service;

use std::sync::Mutex;
use std::time::Duration;

use paceline::{Retry, Verdict, by_error, presets};
use paceline_flow::{Action, BoxError, Cx, Event, Graph, Limits, Node, Result};
use service::Service;

struct Site {
    server: Service,
    pages: Mutex<Vec<String>>,
}

struct Scrape;

impl Node for Scrape {
    type Shared = Site;
    type Params = u32;
    type Item = String;
    type Output = Option<String>;

    async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<String>> {
        Ok((0..*cx.params).map(|page| format!("/page/{page}")).collect())
    }

    async fn exec(&self, cx: Cx<'_, Self>, url: &String) -> Result<Option<String>> {
        let page = cx.shared.server.call(url).await?;
        match url.as_str() {
            "/page/7" => Err("404 Not Found".into()),
            "/page/3" | "/page/11" | "/page/19" if cx.attempt() < 3 => Err("503 Service Unavailable".into()),
            _ => Ok(Some(page)),
        }
    }

    /// A page that is not there is not worth another attempt.
    fn verdict(&self, result: &Result<Option<String>>) -> Verdict {
        match result {
            Err(error) if error.to_string().starts_with("404") => Verdict::Permanent,
            result => by_error(result),
        }
    }

    async fn fallback(&self, _: Cx<'_, Self>, url: &String, error: BoxError) -> Result<Option<String>> {
        println!("{url} is left out: {error}");
        Ok(None)
    }

    async fn post(&self, cx: Cx<'_, Self>, _: Vec<String>, pages: Vec<Option<String>>) -> Result<Action> {
        cx.shared.pages.lock().unwrap().extend(pages.into_iter().flatten());
        Ok(Action::DEFAULT)
    }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<()> {
    let retry = Retry::attempts(3).backoff(Duration::from_secs(1), Duration::from_secs(10));
    let mut graph = Graph::new();
    let scrape = graph.add(Scrape, Limits::preset("SCRAPING_POLITE")?.retry(retry).timeout(Duration::from_secs(30)));
    let flow = graph.start(scrape)?.on_event(|event| {
        if let Event::Retrying { item, attempt, .. } = event {
            println!("/page/{item} has failed; attempt {attempt}");
        }
    });
    println!("{}", flow.effective_limits());

    let polite = presets::find("SCRAPING_POLITE")?;
    let server = Service::new("site", polite.into(), Duration::from_secs(2));
    let site = Site { server, pages: Mutex::default() };
    flow.run(&site, 30).await?;

    let node = &flow.stats()[0];
    println!("{} of {} pages, {} attempts", site.pages.lock().unwrap().len(), node.items, node.attempts);
    println!("{}", site.server);
    assert_eq!((node.fallbacks, node.total_retries(), site.pages.lock().unwrap().len()), (1, 6, 29));
    assert_eq!((site.server.seen().refused, site.server.seen().fullest_minute), (0, 10));
    Ok(())
}
