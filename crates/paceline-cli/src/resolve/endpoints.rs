//! The endpoints: one by flags, or as many as the configuration has.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use paceline::headers::Dialect;

use super::headers;
use crate::args::RunArgs;
use crate::config::{Config, EndpointConfig};
use crate::endpoint::{ApiKey, BaseUrl, Endpoint, Speech};

const BASE_URL: &str = "https://api.openai.com";
const TIMEOUT: Duration = Duration::from_secs(600);

/// An endpoint, and what its quota group is to know of it.
pub(super) struct Resolved<'c> {
    pub(super) endpoint: Endpoint,
    pub(super) speech: Speech,
    pub(super) config: &'c EndpointConfig,
}

pub(super) fn endpoints<'c>(
    args: &RunArgs,
    config: &'c Config,
    first: &'c EndpointConfig,
) -> Result<Vec<Resolved<'c>>> {
    let configs = if config.endpoint.is_empty() { std::slice::from_ref(first) } else { &config.endpoint };
    let service = &args.service;
    let flags = [
        ("--base-url", service.base_url.is_some()),
        ("--api-key-env", service.api_key_env.is_some()),
        ("--dialect", service.dialect.is_some()),
    ];
    if let (Some((flag, _)), true) = (flags.iter().find(|(_, given)| *given), configs.len() > 1) {
        bail!("{flag} is about one endpoint, and the configuration has {}; change it there", configs.len());
    }
    let mut resolved: Vec<Resolved<'_>> = Vec::new();
    for endpoint in configs {
        let one = resolve(args, config, endpoint)?;
        let name = &one.endpoint.name;
        if resolved.iter().any(|other| other.endpoint.name == *name) {
            bail!("two endpoints are called `{name}`; give each a name of its own by `name`");
        }
        resolved.push(one);
    }
    Ok(resolved)
}

fn resolve<'c>(args: &RunArgs, config: &Config, endpoint: &'c EndpointConfig) -> Result<Resolved<'c>> {
    let flags = &args.service;
    let base = BaseUrl::parse(flags.base_url.as_deref().or(endpoint.base_url.as_deref()).unwrap_or(BASE_URL))?;
    let dialect = flags.dialect.or(endpoint.dialect).or(base.provider());
    let name = endpoint.name.clone().unwrap_or_else(|| base.host().to_owned());
    if name.is_empty() {
        bail!("the endpoint at {} has an empty name; leave `name` out or say one", base.as_str());
    }
    let file = || args.config.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let headers = headers::read(&config.job.headers, &endpoint.headers).with_context(file)?;
    let endpoint_of = Endpoint {
        name,
        base,
        key: None,
        timeout: flags.timeout.or(endpoint.timeout).or(config.job.timeout).unwrap_or(TIMEOUT),
        headers,
        weight: endpoint.weight.get(),
    };
    let speech = match dialect {
        Some(dialect) if !args.rehearse => Speech::of(dialect),
        // A simulated provider charges what was used, whomever it imitates.
        dialect => Speech { dialect: dialect.unwrap_or(Dialect::OpenAi), ..Speech::unknown() },
    };
    Ok(Resolved { endpoint: endpoint_of, speech, config: endpoint })
}

/// The key of an endpoint: the last thing to look for, since a mistake in what was written is worth knowing without it.
pub(super) fn key(args: &RunArgs, resolved: &Resolved<'_>) -> Result<Option<ApiKey>> {
    let Resolved { endpoint: Endpoint { base, .. }, speech, config: endpoint } = resolved;
    // A simulated provider asks for none.
    if args.rehearse {
        return Ok(None);
    }
    let flag = args.service.api_key_env.as_deref();
    let named = flag.or(endpoint.key_env.as_deref());
    let (key, place) = match (named, endpoint.key_file.as_deref().filter(|_| flag.is_none())) {
        (Some(variable), Some(path)) => bail!(
            "the endpoint at {} has its key in the environment variable {variable} and in the file {}; say one of \
             key_env and key_file",
            base.as_str(),
            path.display()
        ),
        (None, Some(path)) => (ApiKey::from_file(path)?, format!("file {}", path.display())),
        // A service on this machine gets no key that nobody meant for it.
        (None, None) if base.is_loopback() => return Ok(None),
        (named, None) => {
            let variable = named.unwrap_or_else(|| ApiKey::usual_variable(speech.dialect));
            (ApiKey::from_env(variable)?, format!("environment variable {variable}"))
        }
    };
    let needed = !base.is_loopback() || flag.is_some() || endpoint.key_file.is_some();
    if key.is_none() && needed && !args.dry_run {
        if args.input != Path::new("-") {
            // Without its requests a key is of no use, either.
            let input = args.input.display();
            args.input.metadata().with_context(|| format!("cannot read the requests in {input}"))?;
        }
        bail!("the {place} holds no key for {}; set it, or name another by --api-key-env or key_env", base.as_str());
    }
    Ok(key)
}
