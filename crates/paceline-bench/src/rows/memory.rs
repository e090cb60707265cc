//! What a set is in memory, alone and as one of a million.

use paceline::{LimitSet, Quota, Registry, Template};

use crate::heap;
use crate::table::{Bar, Row};

const TENANTS: usize = 1_000_000;

pub(crate) fn rows() -> Vec<Row> {
    let template = template();
    let (_sets, thousand) = heap::growth(|| (0..1_000).map(|_| template.make("set")).collect::<Vec<_>>());
    let from_template = thousand as f64 / 1_000.0 - size_of::<LimitSet>() as f64;
    let (_set, alone) = heap::growth(|| two_buckets().build().expect("a valid set"));
    vec![
        Row::new("memory: bytes of a set of two token buckets", from_template)
            .bar(Bar::AtMost(400.0))
            .note("one of a template"),
        Row::new("memory: bytes of a set with a description of its own", alone as f64),
        Row::new("memory: bytes a tenant, a million in a registry", million(&template))
            .bar(Bar::AtMost(600.0))
            .note("two token buckets each, its name included"),
    ]
}

fn two_buckets() -> paceline::LimitSetBuilder {
    let bucket = |amount| Quota::per_minute(amount).burst(amount / 10);
    LimitSet::builder("tenant").calls(bucket(500)).rate("tokens", bucket(200_000))
}

fn template() -> Template {
    two_buckets().template().expect("a valid set")
}

fn million(template: &Template) -> f64 {
    let (registry, growth) = heap::growth(|| {
        let registry = Registry::new();
        for tenant in 0..TENANTS {
            let made = registry.get_or_create(format!("tenant-{tenant:06}"), |name| Ok(template.make(name)));
            made.expect("a valid set");
        }
        registry
    });
    assert_eq!(registry.len(), TENANTS);
    growth as f64 / TENANTS as f64
}
