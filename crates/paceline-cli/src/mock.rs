//! `paceline mock`: a simulated provider on its own.

use std::io;

use anyhow::Context as _;
use paceline_mock::{Mock, MockConfig, MockLimit};

use crate::args::MockArgs;
use crate::exit::{Exit, Halt};
use crate::limits::{Counted, LimitFlag};
use crate::{rehearsal, screen, stop};

pub(crate) fn run(args: &MockArgs, quiet: bool) -> Result<Exit, Halt> {
    let config = config(args);
    let runtime = tokio::runtime::Runtime::new().context("cannot start")?;
    runtime.block_on(async {
        let mock = Mock::start(config, args.listen).await.map_err(|error| explain(error, args))?;
        screen::print(greeting(&mock.url())).context("cannot write to stdout")?;
        stop::asked_to_end().await.context("cannot listen for signals")?;
        let stats = mock.stats();
        if !quiet {
            screen::print(rehearsal::saw(&stats).join("\n") + "\n").context("cannot write to stdout")?;
        }
        Ok(Exit::Ok)
    })
}

fn config(args: &MockArgs) -> MockConfig {
    const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);
    let MockArgs { rpm, tpm, limit, concurrency, .. } = args;
    let short = [(Counted::Requests, rpm), (Counted::Tokens, tpm)];
    let short =
        short.into_iter().filter_map(|(counted, amount)| Some(LimitFlag::window(counted, (*amount)?.get(), MINUTE)));
    let limits = short.chain(limit.iter().cloned());
    MockConfig {
        limits: limits.map(|limit| MockLimit::new(rehearsal::key(limit.counted), limit.amount, limit.window)).collect(),
        bucket: args.bucket.map(|bucket| bucket.get()),
        count_refused: args.count_refused,
        concurrency: concurrency.map(|amount| amount.get()),
        latency: args.latency,
        jitter: args.jitter,
        error_rate: args.error_rate,
        no_headers: args.no_headers,
        dialect: args.dialect,
        seed: args.seed,
        api_key: None,
    }
}

fn explain(error: io::Error, args: &MockArgs) -> anyhow::Error {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; something else listens there: choose another by --listen, or port 0 for a free one"
        }
        _ => "",
    };
    anyhow::Error::new(error).context(format!("cannot listen at {}{hint}", args.listen))
}

fn greeting(url: &str) -> String {
    format!(
        "listening at {url}\n\
         send to it:     paceline run requests.jsonl --base-url {url}\n\
         what it saw:    curl {url}/_mock/stats   (or /_mock/requests; POST /_mock/reset forgets)\n\
         Ctrl-C ends it.\n"
    )
}
