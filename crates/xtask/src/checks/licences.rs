//! Every dependency's licence is one that `deny.toml` allows: the part of cargo-deny that nobody should go without.

use std::fs;

use anyhow::{Context as _, Result, bail};
use spdx::{Expression, ParseMode};

use crate::tasks::Outcome;
use crate::workspace::{Workspace, text_of};

pub(crate) fn run(ws: &Workspace) -> Result<Outcome> {
    let path = ws.root().join("deny.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
    let allowed = Allowed::parse(&text)?;

    let (mut checked, mut refused) = (0, Vec::new());
    // A package without a source is one of ours.
    for package in ws.packages()?.iter().filter(|package| !package["source"].is_null()) {
        checked += 1;
        if let Err(why) = allowed.check(package["license"].as_str()) {
            refused.push(format!("{} {}: {why}", text_of(package, "name")?, text_of(package, "version")?));
        }
    }
    if !refused.is_empty() {
        bail!("deny.toml does not allow the licence of\n  {}", refused.join("\n  "));
    }
    println!("{checked} dependencies, all under allowed licences");
    Ok(Outcome::Done)
}

struct Allowed(Vec<String>);

impl Allowed {
    fn parse(deny_toml: &str) -> Result<Self> {
        let table: toml::Table = deny_toml.parse().context("deny.toml is not TOML")?;
        let list = table.get("licenses").and_then(|licenses| licenses.get("allow")?.as_array());
        let names = list.context("deny.toml has no `licenses.allow`")?.iter();
        Ok(Allowed(names.filter_map(|name| Some(name.as_str()?.to_owned())).collect()))
    }

    fn check(&self, expression: Option<&str>) -> Result<()> {
        let expression = expression.context("it declares none")?;
        // Old manifests write `MIT/Apache-2.0` for a choice, which the lax mode reads as one.
        let parsed = Expression::parse_mode(expression, ParseMode::LAX)
            .with_context(|| format!("`{expression}` is not a licence expression"))?;
        if !parsed.evaluate(|term| self.0.contains(&term.to_string())) {
            bail!("{expression}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(expression: &str) -> bool {
        let deny_toml = r#"licenses.allow = ["MIT", "Apache-2.0", "Unicode-3.0"]"#;
        Allowed::parse(deny_toml).unwrap().check(Some(expression)).is_ok()
    }

    #[test]
    fn a_choice_needs_one_and_a_sum_needs_all() {
        assert!(allows("MIT OR GPL-3.0-only"));
        assert!(allows("(MIT OR GPL-3.0-only) AND Unicode-3.0"));
        assert!(!allows("MIT AND GPL-3.0-only"));
    }

    #[test]
    fn old_slashes_are_a_choice() {
        assert!(allows("GPL-3.0/Apache-2.0"));
    }

    #[test]
    fn an_exception_is_a_licence_of_its_own() {
        assert!(!allows("Apache-2.0 WITH LLVM-exception"));
        assert!(allows("Apache-2.0 WITH LLVM-exception OR MIT"));
    }

    #[test]
    fn nothing_declared_is_refused() {
        assert!(Allowed::parse("licenses.allow = ['MIT']").unwrap().check(None).is_err());
    }
}
